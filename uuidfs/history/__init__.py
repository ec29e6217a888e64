"""What there is to read of a domain's past: its log through all rotations, and its events.

Everything here only looks. The log's bytes come from QEMU, and whoever shows them to a terminal
makes them harmless first (:mod:`uuidfs.cli.render.log`).
"""
