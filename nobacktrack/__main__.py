"""`python -m nobacktrack` and the command `nobacktrack`. Both need the extra `server`."""

import sys


def main() -> None:
    """Run the command line; without the extra `server`, say in one line what to install."""
    try:
        from .service.cli.main import main as command

        command()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "nobacktrack"}:
            raise
        sys.exit(f"nobacktrack: the command needs {missing}: pip install 'nobacktrack[server]'")


if __name__ == "__main__":
    main()
