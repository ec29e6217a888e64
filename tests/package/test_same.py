"""The deb and the rpm are the same thing: files, modes, contents, and what they do to a host."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from uuidfs.layout.places import LAYOUT

ROOT = Path(__file__).parents[2]
# Where a distribution has something else in another place, or of its own.
PLACES = (
    (r"^/usr/lib/python3[.0-9]*/(dist|site)-packages/", "/SITE/"),
    (r"^(/usr)?/lib/systemd/system/", "/UNITS/"),
    (r"^/usr/share/zsh/(vendor-completions|site-functions)/", "/ZSH/"),
    (r"^/usr/share/doc/(cockpit-)?uuidfs(-[\d.]+)?/", "/DOC/"),
    (r"^/DOC/examples/", "/DOC/"),
    (r"(/DOC/.*|/man/.*)\.gz$", r"\1"),
)
OWN = re.compile(
    r"/SITE/uuidfs-[\d.]+\.dist-info/(RECORD|INSTALLER|WHEEL|licenses/.*)"
    r"|/DOC/(copyright|changelog\.Debian|changelog|CHANGELOG\.md)"
    r"|/SITE/uuidfs/.*/?__pycache__/.*"  # dpkg's are made at the installation, by py3compile
    r"|/usr/share/licenses/.*|/usr/lib/systemd/system-preset/80-uuidfs\.preset"
)


class File(NamedTuple):
    """A file of a package."""

    mode: str
    data: bytes


def run(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def same_place(path: str) -> str:
    for pattern, place in PLACES:
        path = re.sub(pattern, place, path)
    return path


def files(directory: Path) -> dict[str, File]:
    """All regular files below an unpacked package."""

    def each() -> Iterator[tuple[str, File]]:
        for path in directory.rglob("*"):
            place = same_place("/" + str(path.relative_to(directory)))
            if path.is_symlink() or not path.is_file() or OWN.fullmatch(place):
                continue
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout
            if place == "/usr/bin/uuidfs":  # Fedora's Python runs programs isolated
                data = data.replace(b"#!/usr/bin/python3 -sP\n", b"#!/usr/bin/python3\n")
            yield place, File(oct(path.stat().st_mode), data)

    return dict(each())


def unpacked(deb: Path, rpm: Path, name: str, tmp_path: Path) -> tuple[Path, Path]:
    """Both packages of a name."""
    one, other = tmp_path / "deb", tmp_path / "rpm"
    other.mkdir()
    run("dpkg-deb", "--extract", next(deb.glob(f"{name}_*.deb")), one)
    package = next(rpm.glob(f"{name}-[0-9]*.noarch.rpm"))
    subprocess.run(f"rpm2cpio '{package}' | cpio --quiet -idm", shell=True, check=True, cwd=other)
    return one, other


def test_the_page_of_cockpit_is_the_same_and_goes_with_one_version(
    deb: Path, rpm: Path, tmp_path: Path
) -> None:
    one, other = (files(each) for each in unpacked(deb, rpm, "cockpit-uuidfs", tmp_path))
    assert one == other
    page = {path for path in one if path.startswith("/usr/share/cockpit/uuidfs/")}
    assert {f"/usr/share/cockpit/uuidfs/{n}" for n in ("index.html", "po.de.js")} <= page
    assert set(one) - page == {
        "/usr/share/metainfo/org.uuidfs.cockpit.metainfo.xml",
        "/DOC/cockpit.md",
    }
    fields = run("dpkg-deb", "-f", next(deb.glob("cockpit-uuidfs_*.deb")), "Depends", "Version")
    version = re.search(r"Version: (.*)", fields)
    assert version is not None
    assert f"uuidfs (= {version[1]})" in fields
    requires = run("rpm", "-qpR", next(rpm.glob("cockpit-uuidfs-[0-9]*.noarch.rpm")))
    assert re.search(r"^uuidfs = [\d.]+$", requires, re.MULTILINE)


def test_the_files_are_the_same(deb: Path, rpm: Path, tmp_path: Path) -> None:
    one, other = unpacked(deb, rpm, "uuidfs", tmp_path)
    from_deb, from_rpm = files(one), files(other)
    assert sorted(from_deb) == sorted(from_rpm)
    assert [path for path in from_deb if from_deb[path] != from_rpm[path]] == []
    for path in (
        "/etc/uuidfs/uuidfs.toml",
        "/etc/logrotate.d/uuidfs",
        "/etc/needrestart/conf.d/uuidfs.conf",
        "/usr/bin/uuidfs",
        "/usr/sbin/uuidfs-virtiofsd",
        "/UNITS/uuidfs.service",
        "/UNITS/uuidfs-check.service",
        "/UNITS/uuidfs-recover.service",
        "/SITE/uuidfs/data/qemu",
        "/ZSH/_uuidfs",
        "/usr/share/man/man8/uuidfs.8",
        "/DOC/uuidfs.json",
        "/DOC/uuidfs.rules.yml",
    ):
        assert path in from_deb, path


def test_all_modules_of_the_rpm_are_compiled(rpm: Path) -> None:
    """The units may not write to /usr: each start would compile them again."""
    listed = run("rpm", "-qpl", next(rpm.glob("uuidfs-[0-9]*.noarch.rpm"))).splitlines()
    modules = {path for path in listed if path.endswith(".py") and "/site-packages/" in path}
    compiled = {
        re.sub(r"__pycache__/(\w+)\.cpython-\d+\.pyc$", r"\1.py", path)
        for path in listed
        if path.endswith(".pyc")
    }
    assert len(modules) > 100
    assert compiled == modules


def test_the_configuration_files_are_the_same(deb: Path, rpm: Path) -> None:
    conffiles = run("dpkg-deb", "-I", next(deb.glob("uuidfs_*.deb")), "conffiles").split()
    flagged = run(
        "rpm",
        "-qp",
        "--qf",
        "[%{FILENAMES} %{FILEFLAGS:fflags}\\n]",
        next(rpm.glob("uuidfs-[0-9]*.noarch.rpm")),
    )
    assert sorted(conffiles) == sorted(
        line.split()[0] for line in flagged.splitlines() if line.endswith(" cn")
    )


def test_the_requirements_are_the_same(deb: Path, rpm: Path) -> None:
    depends = run("dpkg-deb", "-f", next(deb.glob("uuidfs_*.deb")), "Depends")
    requires = run("rpm", "-qpR", next(rpm.glob("uuidfs-[0-9]*.noarch.rpm")))
    assert set(re.findall(r"python3-(\w+)", depends)) == set(
        re.findall(r"python3dist\((\w+)\)", requires)
    )


def actions(script: str) -> list[str]:
    """What a script does to a host, in order, in words that fit both worlds."""
    words = (
        ("configure", r"lifecycle configure"),
        ("remove", r"lifecycle remove"),
        ("leave", r"lifecycle leave"),
        ("enable", r"deb-systemd-helper enable '?uuidfs|install-system-units .*uuidfs\.service"),
        ("stop", r"(deb-systemd-invoke stop '?|remove-system-units .*)uuidfs\.service"),
        ("start", r"deb-systemd-invoke (?:\$_dh_action|start) '?uuidfs|systemctl start uuidfs"),
    )
    found = sorted(
        (match.start(), word) for word, pattern in words for match in re.finditer(pattern, script)
    )
    seen = dict.fromkeys(word for _, word in found)
    return list(seen)


def test_what_is_done_to_a_host_is_the_same(deb: Path, rpm: Path) -> None:
    package, other = next(deb.glob("uuidfs_*.deb")), next(rpm.glob("uuidfs-[0-9]*.noarch.rpm"))
    scripts = {
        name: run("dpkg-deb", "-I", package, name)
        for name in ("preinst", "postinst", "prerm", "postrm")
    }

    def scriptlet(tag: str) -> str:
        return run("rpm", "-qp", "--qf", f"%{{{tag}}}", other)

    # enable is a symlink only: whether it comes before or after configure is the same.
    installed = actions(scripts["postinst"])
    assert installed == ["configure", "enable", "start"]
    assert sorted(actions(scriptlet("POSTIN")) + actions(scriptlet("POSTTRANS"))) == sorted(
        installed
    )
    assert actions(scriptlet("POSTTRANS")) == ["configure", "start"]
    assert actions(scripts["preinst"]) == actions(scriptlet("PREIN")) == ["leave"]
    assert actions(scripts["prerm"]) == actions(scriptlet("PREUN")) == ["stop", "remove"]
    assert actions(scripts["postrm"]) == actions(scriptlet("POSTUN")) == []
    assert "mark-restart-system-units" in scriptlet("POSTUN"), "restarted after an upgrade"


def test_the_packages_and_the_code_mean_the_same_layout() -> None:
    for file, pattern in (
        ("lifecycle", r"(?m)^layout=(\d+) "),
        ("deb/uuidfs.preinst", r"lifecycle leave (\d+)$"),
        ("rpm/uuidfs.spec", r"lifecycle leave (\d+)$"),
    ):
        text = (ROOT / "packaging" / file).read_text()
        assert re.findall(pattern, text, re.MULTILINE) == [str(LAYOUT)], file


def test_every_document_that_a_document_of_the_packages_links_to_is_in_them() -> None:
    """Someone on a host has no repository."""
    documents = {
        word
        for word in (ROOT / "packaging/deb/uuidfs.docs").read_text().split()
        if word.endswith(".md")
    }
    spec = (ROOT / "packaging/rpm/uuidfs.spec").read_text().split("%files selinux")[0]
    listed = " ".join(re.findall(r"^%doc (.*)$", spec, re.MULTILINE)).split()
    assert documents | {"CHANGELOG.md"} == {word for word in listed if word.endswith(".md")}
    for document in documents:
        for link in re.findall(r"\]\(([\w/-]+\.md)[)#]", (ROOT / document).read_text()):
            target = ((ROOT / document).parent / link).resolve().relative_to(ROOT)
            if target.parts[0] == "docs":  # the Ansible collection is for another machine
                assert str(target) in documents, f"{document} links to {target}"


def test_what_is_optional_is_suggested() -> None:
    """Each extra of the wheel that works on a host is a package somebody may want."""
    control = (ROOT / "packaging/deb/control").read_text()
    spec = (ROOT / "packaging/rpm/uuidfs.spec").read_text()
    suggests = control.split("Suggests:\n")[1].split("\nEnhances")[0]
    assert "python3-libvirt," in suggests
    assert "python3-prometheus-client," in suggests
    for name in ("libvirt-python", "prometheus-client"):
        assert re.search(rf"^Suggests: +python3dist\({name}\)$", spec, re.MULTILINE), name
