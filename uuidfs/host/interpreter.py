"""The interpreter that runs uuidfs now, for what starts a part of it as a program of its own."""

import sys
from pathlib import Path


def checkout() -> str:
    """The directory to import uuidfs from, empty where that is site-packages."""
    home = Path(__file__).resolve().parents[2]
    return "" if home.name in {"site-packages", "dist-packages"} else str(home)


def command(module: str) -> list[str]:
    """The words that run ``main(argv)`` of one of our modules; its arguments follow.

    Isolated (python -I): neither the caller's environment nor its directory has a say.
    """
    path = checkout()
    text = (
        f"import sys; sys.path.insert(0, {path!r}); " if path else "import sys; "
    ) + f"from {module} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-I", "-c", text]
