"""Ansible connection plugin of the tests: a host is a private host, entered with nsenter(1)."""

import os
import shutil
import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: nsenter_host
short_description: Enter a private host of tests/live
description: For tests; its process 1 is named by number.
author: The uuidfs authors
options:
  remote_addr:
    description: The process id of the host's keeper.
    default: inventory_hostname
    vars:
      - name: ansible_host
  remote_user:
    description: Who commands run as; become needs no sudo then.
    default: root
"""
# Everything that Ansible writes on a host is in the host's own /run.
ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/run/home",
    "LC_ALL=C.UTF-8",
]


class Connection(ConnectionBase):
    """One host; nothing has to be opened."""

    transport = "nsenter_host"
    has_pipelining = True

    def _connect(self) -> "Connection":
        self._connected = True
        return self

    def _keeper(self) -> str:
        return str(self.get_option("remote_addr"))

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Run a command there."""
        if not os.path.exists(f"/proc/{self._keeper()}/root/run"):
            raise AnsibleConnectionFailure(f"nobody is at {self._keeper()}")
        done = subprocess.run(
            [
                *("nsenter", "-m", "-p", "-n", "-t", self._keeper(), "--"),
                *("env", "-i", *ENVIRONMENT, "sh", "-c", f"mkdir -p /run/home && {cmd}"),
            ],
            input=in_data or b"",
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def _outside(self, path: str) -> str:
        return f"/proc/{self._keeper()}/root{path}"

    def put_file(self, in_path: str, out_path: str) -> None:
        """To the host."""
        shutil.copyfile(in_path, self._outside(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """From the host."""
        shutil.copyfile(self._outside(in_path), out_path)

    def close(self) -> None:
        """Nothing to close."""
        self._connected = False
