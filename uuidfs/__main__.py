"""``python -m uuidfs``."""

from uuidfs.cli import main

if __name__ == "__main__":
    main()
