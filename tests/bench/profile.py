"""`make profile`: where a service under load spends its time.

py-spy samples the process of a service on loopback, with its threads, while three senders are at work: one sends events
in bulk, one sends single events, one asks for forecasts. Compiled kernels show as the Python function that calls them.
"""

import argparse
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path

from nobacktrack.service.cli.local_service import LocalService
from nobacktrack.service.client.sync import Client
from nobacktrack.service.schemas import Event

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / ".profile"
PY_SPY = ROOT / ".venv" / "bin" / "py-spy"
ROWS = 20


def bulk(url: str, stop: threading.Event) -> int:
    """Events sent in bulk until `stop`."""
    count = 0
    with Client(url) as client:
        client.create("bulk", targets=["y"], units=32)
        while not stop.is_set():
            events = [Event(y={"y": float(number % 7)}) for number in range(2000)]
            count += sum(1 for _ in client.observe_many("bulk", events))
    return count


def single(url: str, stop: threading.Event) -> int:
    """Events sent one by one until `stop`."""
    count = 0
    with Client(url) as client:
        client.create("single", targets=["y"], units=32)
        while not stop.is_set():
            client.observe("single", {"y": float(count % 7)})
            count += 1
    return count


def forecasts(url: str, stop: threading.Event) -> int:
    """Forecasts asked for until `stop`."""
    count = 0
    with Client(url) as client:
        client.create("ahead", targets=["y"], units=32)
        client.observe("ahead", {"y": 1.0})
        while not stop.wait(0.01):
            client.forecast("ahead", horizon=24)
            count += 1
    return count


def record(pid: int, seconds: int, form: str, output: Path) -> None:
    """Samples of a process, in one of py-spy's formats."""
    command = [str(PY_SPY), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", "200", "--nonblocking"]
    subprocess.run([*command, "--format", form, "--output", str(output)], check=True, capture_output=True)


def table(stacks: str) -> list[str]:
    """The functions with the most time, of samples as `root;…;leaf count` a line."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [f"{frame.rpartition(':')[0]})" for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))
    total = own.total() or 1
    head = f"{'itself':>7} {'with its calls':>15}  function"
    return [head, *(f"{n / total:7.1%} {within[name] / total:15.1%}  {name}" for name, n in own.most_common(ROWS))]


def main() -> None:
    """Print the table and say where the flame graph is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long each of the two recordings takes")
    seconds: int = parser.parse_args().seconds
    OUTPUT.mkdir(exist_ok=True)
    stop, counts = threading.Event(), dict[str, int]()
    print("Starting a service", flush=True)
    with tempfile.TemporaryDirectory() as directory, LocalService(Path(directory), embedded=True) as service:

        def work(name: str) -> None:
            counts[name] = {"bulk": bulk, "single": single, "forecasts": forecasts}[name](service.url, stop)

        senders = [threading.Thread(target=work, args=(name,)) for name in ("bulk", "single", "forecasts")]
        for sender in senders:
            sender.start()
        try:
            print(f"Recording it for {2 * seconds} s", flush=True)
            record(service.pid, seconds, "raw", OUTPUT / "stacks.txt")
            record(service.pid, seconds, "flamegraph", OUTPUT / "flame.svg")
        finally:
            stop.set()
            for sender in senders:
                sender.join()
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print("\n".join(table((OUTPUT / "stacks.txt").read_text())))
    print(f"flame graph: {OUTPUT / 'flame.svg'}")


if __name__ == "__main__":
    main()
