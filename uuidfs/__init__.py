"""UUID-named files for libvirt domains, behind name symlinks, on stock libvirt.

Data flows one way, layout -> files -> runtime -> survey -> plan -> apply -> convert, and imports
go the other way; docs/architecture.md has the tree, and import-linter holds it.
"""

__version__ = "0.1.0"
