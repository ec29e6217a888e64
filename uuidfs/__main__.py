"""``python -m uuidfs``."""

from uuidfs.cli.start import main

if __name__ == "__main__":
    main()
