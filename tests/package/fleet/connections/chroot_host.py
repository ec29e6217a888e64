"""Ansible connection plugin of the tests: a host is a root directory, entered with chroot(8)."""

import shutil
import subprocess

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: chroot_host
short_description: Enter a root directory
description: For tests, in a mount namespace of their own.
author: The uuidfs authors
options:
  remote_addr:
    description: The root directory.
    default: inventory_hostname
    vars:
      - name: ansible_host
  remote_user:
    description: Who commands run as; become needs no sudo then.
    default: root
"""
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


class Connection(ConnectionBase):
    """One host; nothing has to be opened."""

    transport = "chroot_host"
    has_pipelining = True

    def _connect(self) -> "Connection":
        self._connected = True
        return self

    def _root(self) -> str:
        return str(self.get_option("remote_addr"))

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Run a command there."""
        done = subprocess.run(
            ["chroot", self._root(), "env", "-i", PATH, "HOME=/root", "sh", "-c", cmd],
            input=in_data or b"",
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """To the host."""
        shutil.copyfile(in_path, self._root() + out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """From the host."""
        shutil.copyfile(self._root() + in_path, out_path)

    def close(self) -> None:
        """Nothing to close."""
        self._connected = False
