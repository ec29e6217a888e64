"""UUID-named files for libvirt domains, behind name symlinks, on stock libvirt.

Data flows one way, and so do imports (import-linter holds them):

    cli, hook          what people and libvirt call
      operate, check   lock -> look -> plan -> apply, for one domain or all
        apply          the only code that changes a disk (through fs)
        plan           what to do: pure
        survey         what is there
        xmlread        identity of a document (lxml; expat in the hook)
        layout, names  where things belong
        fs, errors     system calls; what can go wrong
"""

__version__ = "0.1.0"
