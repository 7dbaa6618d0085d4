"""`python -m nobacktrack` is the command `nobacktrack`."""

from nobacktrack.service.cli.main import main

if __name__ == "__main__":
    main()
