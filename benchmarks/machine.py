"""What a figure was measured on."""

import os
import platform
import subprocess
from pathlib import Path

from benchmarks import disk


def describe(pythons: list[str], base: Path) -> list[str]:
    """Lines about processor, kernel, file system, interpreters and libraries."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    kind = _output(["stat", "-f", "-c", "%T", str(base)])
    kind += ", on it a fresh ext4 image per tree" if disk.has_images() else ""
    lines = [
        f"CPU: {cpu}, {os.cpu_count()} of them; load {load}",
        f"kernel: {platform.release()}; file system of {base}: {kind}",
    ]
    code = (
        "import platform, filelock, typer; from importlib.metadata import version as v; "
        "print(platform.python_version() + ':', "
        "', '.join(f'{p} {v(p)}' for p in ('lxml', 'filelock', 'typer')))"
    )
    return lines + [f"{python}: Python {_output([python, '-I', '-c', code])}" for python in pythons]


def _read(path: str) -> str:
    return Path(path).read_text()


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
