"""uuidfs beside a real libvirtd, virtlogd and QEMU, in private namespaces.

Needs root, Linux namespaces and Debian's libvirt-daemon-system, libvirt-clients,
qemu-system-x86 and qemu-utils; without them the tests are skipped with the reason.

    pytest tests/live                        what CI runs
    UUIDFS_REQUIRE_LIVE=1 pytest tests/live  fail instead of skipping
    UUIDFS_LIVE_ALL=1 pytest tests/live      every script in every way
    UUIDFS_COMMAND=/usr/bin/uuidfs ...       test an installed uuidfs, not this tree
    UUIDFS_LIVE_DAEMON=/opt/virtqemud ...    another daemon than libvirtd, by its name or path
    UUIDFS_BENCH_ITSELF=1 pytest tests/live/test_differential.py
                                             plain against plain: is the bench deterministic?

private_host.py is the host, keeper.py its process 1, guest.py the guests, views.py what libvirt
says, script.py runs steps on two hosts, scripts*.py and names.py hold the steps.
"""
