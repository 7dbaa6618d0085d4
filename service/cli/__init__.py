"""The command `nobacktrack` and its subcommands.

Open `main.py` first: it has `serve`, `demo` and `replay`, and adds the commands of the other modules.
"""
