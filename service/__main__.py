"""`python -m service` is `nobacktrack`."""

from service.cli import main

if __name__ == "__main__":
    main()
