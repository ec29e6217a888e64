"""``make demo``: what goes wrong on a plain libvirt host, and what does not with uuidfs.

The same commands are given to two hosts, which are shown side by side. Root on a machine with
libvirt and QEMU sees real ones, in namespaces of their own; everybody else sees imitations.
"""
