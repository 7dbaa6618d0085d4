"""What long tests measured: a line of JSON each, and a table in a file made of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Row = tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The results of one kind of test, collected beside them until `write`."""

    file: Path
    results: Path
    title: str
    introduction: str
    head: Row

    def add(self, row: Row) -> None:
        """Keep a result."""
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read(self, text: str) -> list[Row]:
        """The rows of a report."""
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        return [tuple(line.strip("| ").split(" | ")) for line in lines[1:]]

    def render(self, rows: Iterable[Row]) -> str:
        """The report; of two rows that begin alike the later one."""
        newest = {row[0]: row for row in rows}
        lines = [
            f"# {self.title}", "", self.introduction, "",
            "| " + " | ".join(self.head) + " |",
            "|" + "---|" * len(self.head),
            *("| " + " | ".join(row) + " |" for row in newest.values()),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def main(self, option: str = "") -> None:
        """Write the file: a row that was not measured this time stays as it is there.

        With `--new` forget what was measured before; with `--all` rows that were not measured this time go.
        """
        if option == "--new":
            self.results.unlink(missing_ok=True)
        elif self.results.exists():
            keep = self.file.exists() and option != "--all"
            before = self.read(self.file.read_text(encoding="utf-8")) if keep else []
            measured = [tuple(json.loads(line)) for line in self.results.read_text(encoding="utf-8").splitlines()]
            self.file.write_text(self.render([*before, *measured]), encoding="utf-8")
