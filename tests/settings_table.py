"""Writes the table of settings into docs/OPERATIONS.md: `make docs`."""

from pathlib import Path

from nobacktrack.service.settings import Settings
from nobacktrack.service.settings.describe import meanings, shown

OPERATIONS = Path(__file__).parents[1] / "docs" / "OPERATIONS.md"
BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->\n"


def table() -> str:
    """A row for each setting, in the order in which they are declared."""
    said = meanings()
    rows = [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {said[row.name]} |"
        for row in shown(Settings.model_construct())
    ]
    return "\n".join(["| setting | default | what it says |", "|---|---|---|", *rows, ""])


def written(text: str) -> str:
    """The document with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, "the document has both marks"
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    OPERATIONS.write_text(written(OPERATIONS.read_text(encoding="utf-8")), encoding="utf-8")
