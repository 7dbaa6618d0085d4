"""A well-behaved client in a process of its own: `python -m tests.e2e.hostile.neighbour PORT [KEY]`.

It sends an event every `EVERY` seconds over one connection to a stream of its own, and begins to count when the service
has warmed up. While it waits for an answer it sends nothing, but what was due meanwhile counts as late as it would have
been: a service that stops for half a second is late for a hundred events, not for one.

Prints a line when it has begun. It ends with its standard input, and then prints a line for each event: when it was due
(monotonic clock), the seconds until the answer, and the status, 0 where the connection broke.
"""

import re
import socket
import sys
import threading
import time

EVERY = 0.005
CALM = 100
"""Events in a row that were answered soon: the service has warmed up;"""
WARM_SECONDS = 5.0
"""or so long, on a machine that is never calm."""
EVENTS = "/v1/streams/other/events"
BODY = b'{"y":{"y":1}}'


def main(port: str, key: str = "") -> None:
    """Do what the head of this file says."""
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    headers = ["Host: localhost", f"Content-Length: {len(BODY)}", *([f"Authorization: Bearer {key}"] if key else [])]
    request = "\r\n".join([f"POST {EVENTS} HTTP/1.1", *headers, "", ""]).encode() + BODY
    seen: list[str] = []
    line, began, calm = None, time.monotonic(), 0
    due = began
    while not stop.is_set():
        due += EVERY
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            line = line or socket.create_connection(("127.0.0.1", int(port)), 60)
            line.sendall(request)
            status = answer(line)
        except OSError:
            line, status = None, 0
        now = time.monotonic()
        if calm < CALM:
            calm = calm + 1 if now - due < 4 * EVERY or now - began > WARM_SECONDS else 0
            due = now
            if calm == CALM:
                print("begun", flush=True)
            continue
        seen.append(f"{due:.6f} {now - due:.6f} {status}")
        while due + EVERY < now:
            due += EVERY
            seen.append(f"{due:.6f} {now - due:.6f} {status}")
    print("\n".join(seen))


def answer(line: socket.socket) -> int:
    """The status of one response, read to its end."""
    found = b""
    while (head := re.match(rb"HTTP/1.1 (\d+)(?s:.*?)\r\n\r\n", found)) is None or len(found) < head.end() + int(
        re.search(rb"(?i)content-length: *(\d+)", head[0])[1]  # type: ignore[index]
    ):
        part = line.recv(65536)
        if not part:
            raise ConnectionError
        found += part
    return int(head[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
