"""``python -m uuidfs``."""

from uuidfs.cli.start import main

if __name__ == "__main__":
    try:
        main()
    finally:
        # After an interrupt within exec(), where dataclasses are made, `python -m` ends itself by
        # SIGINT, although it was handled, and not with 130. The next exec() has it forgotten.
        exec("")  # noqa: S102 - nothing is executed
