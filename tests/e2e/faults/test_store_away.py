"""A store that hangs, is slow, or breaks off: requests fail soon or succeed, and every event is learnt once."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from nobacktrack.service.client.sync import ApiError, Client
from tests.e2e.faults.results import record
from tests.e2e.faults.scale import CUTS, FAULT_SECONDS
from tests.support.load import CONFIG, Load, Verdict, measured, metric, value, verdict
from tests.support.probe import Probe
from tests.support.processes import wait_until
from tests.support.proxy import Cut, Proxy
from tests.support.servers import Replicas, Server

REFUSED_SECONDS = 2.0
"""How long a request may take to fail."""
BACK_SECONDS = 1.0
"""How long every stream may take to go on when the store is back; and how long /livez may take at any time."""
TOLD_SECONDS = 1.1
"""How long /readyz may take to be red: the time that the store has for one answer, and a little."""
SETTLED_SECONDS = 0.1
"""So long after it began a fault has no answer of the store before it on the way any more."""
MORE_BYTES = 32 * 2**20
"""How much the resident memory may grow during a fault."""


@dataclass(frozen=True)
class Site:
    """One replica, a proxy, and a server behind it."""

    server: Server
    proxy: Proxy
    replicas: Replicas

    @property
    def url(self) -> str:
        """Of the service."""
        return self.replicas.urls[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with (
        Server(folder / "store") as server,
        Proxy(server.port) as proxy,
        Replicas(folder, proxy.url, 1, checkpoint_every=100, outcomes_kept=10**6) as replicas,
    ):
        yield Site(server, proxy, replicas)


def loaded(site: Site, name: str) -> Load:
    """Load that runs already, on streams of its own."""
    load = Load([site.url], [f"{name}-{i}" for i in range(5)], lanes=2, pause=0.01)
    load.create()
    load.start()
    load.wait_for(50)
    return load


def refused(action: Callable[[], object]) -> None:
    """It fails within the deadline, with 503 and Retry-After."""
    start = time.monotonic()
    with pytest.raises(ApiError) as error:
        action()
    assert time.monotonic() - start < REFUSED_SECONDS
    assert (error.value.status, error.value.retry_after) == (503, 1)


def settle(site: Site, load: Load, probe: Probe) -> str:
    """End the load, check all that must hold after any of these faults, and say what was measured."""
    load.finish()
    found = verdict(load, site.server.url)
    assert found == Verdict(load.total, 0, 0)
    assert load.slowest_refusal < REFUSED_SECONDS
    assert probe.slowest_livez < BACK_SECONDS
    more = max(probe.memory) - probe.memory[0]
    assert more < MORE_BYTES
    assert load.refusals.keys() <= {503}
    assert "Traceback" not in site.replicas.logs()
    return (
        f"{load.total:,} events, 0 lost, 0 twice; {load.refused}; "
        f"slowest success {load.slowest_success:.2f} s; slowest /livez "
        f"{1000 * probe.slowest_livez:.0f} ms; memory +{more / 2**20:.1f} MB"
    )


@pytest.mark.parametrize("delay", [None, 0.05, 0.5, 5.0], ids=["paused", "50ms", "500ms", "5000ms"])
def test_a_store_that_is_paused_or_slow(site: Site, delay: float | None) -> None:
    away = delay is None or delay > REFUSED_SECONDS
    seconds = FAULT_SECONDS if away else FAULT_SECONDS / 2
    load = loaded(site, "paused" if delay is None else f"slow-{1000 * delay:.0f}")
    with Probe(site.url, site.replicas.processes[0]) as probe:
        began = time.monotonic()
        if delay is None:
            site.server.pause()
        else:
            site.proxy.delay(delay)
        try:
            if away:
                with Client(site.url, retries=0) as client:
                    refused(lambda: client.status(load.streams[0]))
                    assert measured(lambda: client.forecast(load.streams[0])) < REFUSED_SECONDS
                    refused(lambda: client.create("another", CONFIG))
                wait_until(lambda: load.refusals[503], lambda: "nothing is refused")
            wait_until(lambda: time.monotonic() - began > seconds, lambda: "the clock stands")
        finally:
            site.server.resume()
            site.proxy.heal()
        ended = time.monotonic()
        back = load.until_all_go_on()
        wait_until(lambda: 200 in probe.readyz(ended, time.monotonic()), lambda: "not ready again")
    figures = settle(site, load, probe)
    assert back < BACK_SECONDS
    if away:
        assert probe.readyz(began + SETTLED_SECONDS, ended - TOLD_SECONDS) == {503}
    elif delay == 0.05:
        assert load.refusals.total() == 0
        assert probe.readyz(began + SETTLED_SECONDS, ended) == {200}
    record(
        f"Store {'paused (SIGSTOP)' if delay is None else f'slowed by {1000 * delay:.0f} ms an answer'} for "
        f"{seconds:.0f} s",
        "refused within 2 s with 503 and Retry-After, or done; each event once; on again within 1 s; /livez 200 "
        f"within 1 s; {'/readyz red; ' if away else ''}memory at most +{MORE_BYTES // 2**20} MB",
        f"{figures}; every stream on again after {back:.2f} s",
        "paused_or_slow",
    )


def test_a_store_that_slows_down_and_then_hangs(site: Site) -> None:
    """Of two events of a stream the first is slow and succeeds; the second waits behind it when the store stops."""

    def observe(number: int) -> float:
        start = time.monotonic()
        with Client(site.url, retries=0) as client, contextlib.suppress(ApiError):
            client.observe("slows-down", {"y": value(number)}, id=str(number))
        return time.monotonic() - start

    with Client(site.url) as client, ThreadPoolExecutor(2) as pool:
        client.create("slows-down", CONFIG)
        observe(1)
        site.proxy.delay(0.8)
        try:
            first = pool.submit(observe, 2)
            wait_until(lambda: metric(site.url, "nobacktrack_queued_events") == 1, lambda: "it does not wait")
            second = pool.submit(observe, 3)
            wait_until(lambda: first.done() or metric(site.url, "nobacktrack_queued_events") == 2, lambda: "no second")
            first.result()
            site.server.pause()
            seconds = second.result()
        finally:
            site.server.resume()
            site.proxy.heal()
        assert client.status("slows-down").version >= 2
    assert seconds < REFUSED_SECONDS


@pytest.mark.parametrize("how", ["lost", "half"])
@pytest.mark.parametrize("marker", [b"committed", b""], ids=["commits", "all"])
def test_connections_are_cut(site: Site, how: Cut, marker: bytes) -> None:
    load = loaded(site, f"{how}-{marker.decode()}")
    with Probe(site.url, site.replicas.processes[0]) as probe:
        wanted = site.proxy.cuts + CUTS
        site.proxy.cut(how, marker, every=2 if marker else 9)
        try:
            wait_until(lambda: load.failures or site.proxy.cuts >= wanted, lambda: f"{site.proxy.cuts} of {wanted}")
        finally:
            site.proxy.heal()
        back = load.until_all_go_on()
    figures = settle(site, load, probe)
    assert back < BACK_SECONDS
    what = "every second commit" if marker else "every ninth answer of the store, of whatever kind"
    record(
        f"Connection cut {'before' if how == 'lost' else 'in the middle of'} the answer to {what}, {CUTS} times",
        "refused within 2 s with 503 and Retry-After, or done; each event once; /livez 200 within 1 s",
        f"{figures}; every stream on again after {back:.2f} s",
        "connections_are_cut",
    )
