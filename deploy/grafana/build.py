"""Writes what is made from the panels: the dashboards that Grafana reads, and what docs/OPERATIONS.md says of them.

python -m deploy.grafana.build
"""

from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import learning, operation
from deploy.grafana.panels import Row, board

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
HANDBOOK = ROOT / "docs" / "OPERATIONS.md"
BEGIN, END = "<!-- panels:begin -->", "<!-- panels:end -->"

BOARDS = {"learning": learning, "service": operation}
"""By the name of their files."""


def dashboards() -> dict[str, Dashboard]:
    """Each dashboard, by the name of its file."""
    return {name: board(f"nobacktrack-{name}", of.TITLE, of.DESCRIPTION, of.ROWS) for name, of in BOARDS.items()}


def encoded(dashboard: Dashboard) -> str:
    """The text of its file."""
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(dashboard) + "\n"


def explained() -> str:
    """What each panel means, in Markdown."""
    return "\n".join(line for of in BOARDS.values() for line in (f"### {of.TITLE}", "", *_explained(of.ROWS)))


def _explained(rows: tuple[Row, ...]) -> Iterator[str]:
    for row in rows:
        yield from (f"**{row.title}**", "")
        yield from (f"* *{panel.title}*: {panel.description}" for panel in row.panels)
        yield ""


def inserted(handbook: str) -> str:
    """The handbook with the panels between its two marks. Raises ValueError where they are not there, once each."""
    if handbook.count(BEGIN) != 1 or handbook.count(END) != 1:
        raise ValueError(f"the handbook needs the marks {BEGIN} and {END}")
    before, _, rest = handbook.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{explained()}{END}{after}"


def main() -> None:
    """Write the files."""
    for name, dashboard in dashboards().items():
        (DASHBOARDS / f"{name}.json").write_text(encoded(dashboard), encoding="utf-8")
    HANDBOOK.write_text(inserted(HANDBOOK.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
