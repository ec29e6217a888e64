"""One domain, one attempt: look, plan, apply; look again when libvirt was faster."""

TRIES = 5  # looks at a domain that keeps changing, before it is left to the next run
