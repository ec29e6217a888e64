"""A power cut between any two writes: see README.md here. ``make test-power`` runs it."""
