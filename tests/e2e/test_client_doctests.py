"""The examples in the clients' docstrings, run against a real service."""

import doctest
from collections.abc import Iterator

import pytest

from nobacktrack import AsyncClient, Client
from tests.support.processes import RunningService

FINDER = doctest.DocTestFinder(exclude_empty=True)
NAMES = {"AsyncClient": AsyncClient, "Client": Client}
EXAMPLES = [
    example
    for name, value in NAMES.items()
    for example in FINDER.find(value, name, module=False, globs={**NAMES})
    if example.examples
]


@pytest.fixture
def remote(shared_service: RunningService) -> Iterator[Client]:
    with Client(shared_service.url) as remote:
        yield remote


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example(example: doctest.DocTest, shared_service: RunningService, remote: Client) -> None:
    example.globs |= {"URL": shared_service.url, "client": remote}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    runner.run(example, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)


def test_there_is_an_example_of_everything_that_is_not_obvious() -> None:
    named = {example.name.rpartition(".")[2] for example in EXAMPLES}
    assert {"Client", "AsyncClient", "create", "observe", "observe_many", "forecast", "predict", "watch"} <= named
