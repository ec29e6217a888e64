"""Each line that README and docs say to type is run, or has a reason: ``make test-typed``."""
