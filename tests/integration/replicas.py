"""Services in this process over a store, and what their streams must be."""

from typing import Any

from nobacktrack import model
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event, Outcome
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Store
from nobacktrack.service.streams.service import Streams

CONFIG: dict[str, Any] = {"targets": ["y"], "units": 2}


class Process:
    """One replica: its streams and its metrics."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.metrics = Metrics(10)
        self.streams = Streams(Settings(**settings), store, self.metrics)

    def count(self, name: str) -> float:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(f"nobacktrack_{name}") or 0.0

    async def learn(self, first: int, last: int, stream: str = "s") -> list[bytes]:
        """Events number `first` to `last`, each with its id; the outcomes as they are stored."""
        answers = await self.streams.observe(stream, [event(number) for number in range(first, last + 1)])
        written = [answer for answer in answers if isinstance(answer, bytes)]
        assert len(written) == len(answers), answers
        assert [Outcome.model_validate_json(one).version for one in written] == list(range(first, last + 1))
        return written


def value(number: int) -> float:
    """Of event number `number`, from 1."""
    return float((number * number) % 17)


def event(number: int) -> Event:
    """Event number `number`, with its id."""
    return Event(id=f"e{number}", y={"y": value(number)})


def oracle(version: int) -> str:
    """Digest of a learner that has read the same events and knows no service."""
    learner = model.Learner(model.Config.from_dict(CONFIG))
    if version:
        learner.observe_many([[value(number)] for number in range(1, version + 1)])
    return learner.digest()
