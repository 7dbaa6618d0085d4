"""The documents against the repository: every link, path, module, setting and make target that they name exists."""

import ast
import re
from pathlib import Path

import pytest

from nobacktrack.service.settings import Settings

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("deploy/*.md"),
        ROOT / "tests" / "README.md",
        ROOT / "tests" / "bench" / "README.md",
    )
)
PATH = re.compile(r"(?<![\w/.<>-])(?:model|service|nobacktrack|deploy|tests|docs)/[\w./-]*\w")
"""A file or folder of the repository, wherever in a document."""
MODULE = re.compile(r"\bnobacktrack(?:\.(?:model|service)(?:\.\w+)*)")

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_documents_are_found() -> None:
    found = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert found >= {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/ARCHITECTURE.md",
                     "docs/OPERATIONS.md", "docs/decisions/README.md", "deploy/RUNBOOK.md"}  # fmt: skip


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    """To a file, and to a heading of it where they name one."""
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text_of(path)):
        file, _, heading = target.partition("#")
        place = path.parent / file if file else path
        assert place.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", text_of(place), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}, target


@each_document
def test_paths_exist(path: Path) -> None:
    """From the top of the repository, or from the folder of the document."""
    for named in PATH.findall(text_of(path)):
        assert (ROOT / named).exists() or (path.parent / named).exists(), named


@each_document
def test_modules_exist(path: Path) -> None:
    """Or the last word of a name is something in the module before it."""
    for named in MODULE.findall(text_of(path)):
        place = ROOT / named.replace(".", "/")
        whole = place.is_dir() or place.with_suffix(".py").exists()
        above = place.parent.with_suffix(".py")
        assert whole or (above.exists() and re.search(rf"\b{place.name}\b", text_of(above))), named


@each_document
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text_of(path), re.MULTILINE)) <= targets


def test_settings_exist_and_limits_have_their_defaults() -> None:
    text = "".join(map(text_of, DOCUMENTS))
    known = {f"NBT_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert set(re.findall(r"\bNBT_(?!TEST_)\w+", text)) <= known.keys()
    limits = re.findall(r"^\| `(NBT_\w+)` \| (\d+) \|", text, re.MULTILINE)
    assert len(limits) == 4
    assert [(name, known[name].default) for name, _ in limits] == [(name, int(value)) for name, value in limits]


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", text_of(folder / "README.md"))
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))
    for name in listed:
        text = text_of(folder / name)
        assert re.match(rf"# {int(name[:4])}\. ", text), name
        for part in ("Context", "Decision", "Consequences", "What would change it"):
            assert f"**{part}.**" in text, (name, part)


PACKAGES = sorted(path for path in (ROOT / "service").rglob("__init__.py"))


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_every_package_says_what_it_is_for(path: Path) -> None:
    """And the files that it names exist, beside it or from the top of the repository."""
    docstring = ast.get_docstring(ast.parse(text_of(path)))
    assert docstring is not None
    for named in re.findall(r"`([\w/-]+\.(?:py|lua|md))`", docstring):
        assert (ROOT / named).exists() or (path.parent / named).exists(), named
