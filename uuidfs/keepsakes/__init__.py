"""Second names of what libvirt deletes with a domain, and a mark for its autostart.

    /var/lib/libvirt/by-uuid/kept/UUID/      0700, root's
        nvram  varstore  pstore              a hard link to the firmware's file
        save                                 to the managed save
        tpm~DIRECTORY~FILE                   to a file of swtpm/UUID/DIRECTORY
        autostart                            a symlink: the domain starts by itself
        ~undelete                            a symlink: an undelete is under way

Where the domain is gone these go to kept/trash, which is as every other trash. Nothing is copied:
on another file system nothing is kept. What is linked lies in directories of QEMU's user: no link
is followed, a file is opened first, judged by its descriptor, and linked by that.
"""
