"""What ends a command of the command line."""


class Failure(Exception):
    """Something that the person at the keyboard can mend: one line that says what is wrong and what to do."""
