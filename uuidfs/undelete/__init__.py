"""Brings a whole domain back that libvirt has undefined, through libvirt and while it runs."""
