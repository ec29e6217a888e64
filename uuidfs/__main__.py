"""``python -m uuidfs``."""

from uuidfs.start import main

if __name__ == "__main__":
    main()
