"""Token buckets against the definition: so many at once, so many a second, debts that are waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nobacktrack.service.api.middleware.rate_limit import Buckets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_as_many_at_once_as_the_burst_and_not_one_more() -> None:
    clock = Clock()
    buckets = Buckets(10, 5, clock=clock)
    assert [buckets.take("a") for _ in range(5)] == [0.0] * 5
    assert buckets.take("a") == pytest.approx(0.1)
    assert buckets.take("b") == 0.0, "everybody has a bucket of their own"
    clock.now += 0.1001
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0.0
    clock.now += 60
    assert buckets.tokens("a") == 5
    assert [buckets.take("a") > 0.0 for _ in range(6)] == [False] * 5 + [True]


@pytest.mark.parametrize(("rate", "burst"), [(10, 10), (0.2, 1), (2.6, 3)])
def test_a_burst_is_a_seconds_worth_where_none_is_given(rate: float, burst: int) -> None:
    assert Buckets(rate).burst == burst


def test_who_waits_for_a_reservation_has_paid() -> None:
    clock = Clock()
    buckets = Buckets(10, 5, clock=clock)
    assert buckets.reserve("a", 5) == 0.0
    assert buckets.reserve("a", 3) == pytest.approx(0.3)
    assert buckets.reserve("a", 1) == pytest.approx(0.4), "one after the other"
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.tokens("a") == pytest.approx(-4)
    assert buckets.fill_seconds("a") == pytest.approx(0.9)
    assert buckets.reserve("a", 0) == 0.0
    clock.now += 0.9
    assert buckets.tokens("a") == pytest.approx(5)
    assert buckets.fill_seconds("nobody") == 0.0


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 9)), max_size=50), st.integers(1, 20), st.integers(1, 20))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[float, int]], rate: int, burst: int) -> None:
    """Whatever is asked when: in any span of time no more is granted than burst + rate · span."""
    clock = Clock()
    buckets = Buckets(rate, burst, clock=clock)
    granted: list[float] = []
    for pause, count in steps:
        clock.now += pause
        granted += [clock.now for _ in range(count) if buckets.take("a") == 0.0]
        for start in set(granted):
            assert sum(at >= start for at in granted) <= burst + rate * (clock.now - start) + 1e-6


def test_full_buckets_and_the_longest_unused_are_forgotten() -> None:
    clock = Clock()
    buckets = Buckets(1, 1, most=3, clock=clock)
    for name in "abcd":
        buckets.reserve(name, 10)
    assert [buckets.tokens(name) for name in "abcd"] == [1, -9, -9, -9]
    clock.now += 11
    buckets.take("e")
    assert len(buckets._full) == 1
