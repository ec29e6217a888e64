"""``make demo``: what goes wrong on a plain host, and beside it what uuidfs makes of it."""
