"""Firmware by UUID: NVRAM, varstore and pstore, whose paths are in the domain's definition.

libvirt (9.0 to 12.8) calls these files after the domain when it is defined or started, and keeps
the path when the domain is renamed. So a new domain of the old name gets the same file, and
``undefine --nvram`` of one deletes the other one's. Links at names do not help here: the
definition itself has to say another path, and only libvirt may write it.
"""
