"""A power cut between any two writes to a disk; README.md here tells how. ``make test-power``."""
