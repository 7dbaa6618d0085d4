"""Hostile inputs by name: the attack, and the statuses with which it must be answered."""

import gzip

from tests.e2e.hostile.wire import (
    CHUNKED,
    CLOSED,
    DIGITS,
    EVENT,
    EVENTS,
    GZIP,
    INFER,
    NDJSON,
    STREAM,
    Attack,
    ask,
    deaf,
    endless,
    frame,
    frames,
    head,
    idle,
    nothing_to_say,
    raw,
    slow,
)  # fmt: skip

UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip
MANY_HEADERS = b"".join(b"h%d: x\r\n" % i for i in range(1000))
BOMB = gzip.compress(bytes(100_000_000))
LINE_BOMB = gzip.compress(b'{"y":' + b"[" * 50_000_000)


def tensor(data: bytes, shape: bytes = b"1", name: bytes = b"y", more: bytes = b'"learn":true') -> bytes:
    """The body of an inference request."""
    text = b'{"parameters":{%s},"inputs":[{"name":"%s","datatype":"FP64","shape":[%s],"data":%s}]}'
    return text % (more, name, shape, data)


ATTACKS: dict[str, tuple[Attack, list[int]]] = {
    # Numbers.
    "5000 digits": (ask("POST", EVENTS, b'{"y":{"y":%s}}' % DIGITS), [400]),
    "5000 digits as a time": (ask("POST", EVENTS, b'{"y":{"y":1},"time":%s}' % DIGITS), [400]),
    "5000 digits as an id": (ask("POST", EVENTS, b'{"y":{"y":1},"id":%s}' % DIGITS), [400]),
    "5000 digits as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":%s}}' % DIGITS), [400]),
    "5000 digits as a line": (ask("POST", EVENTS, DIGITS, NDJSON), [200, 400]),
    "5000 digits as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"seed":%s}' % DIGITS), [400]),
    "5000 digits as a clone's": (ask("POST", f"{STREAM}/clone", b'{"name":"t","config":{"seed":%s}}' % DIGITS), [400]),
    "5000 digits as a horizon": (ask("GET", f"{STREAM}/forecast?horizon={'1' * 5000}"), [400]),
    "5000 digits as a page": (ask("GET", f"/v1/streams?limit={'1' * 5000}"), [400]),
    "5000 digits as samples": (ask("GET", f"{STREAM}/diagnostics?samples={'1' * 5000}"), [400]),
    "5000 digits as a version": (ask("GET", f"{STREAM}/live", b"", f"Last-Event-ID: {'1' * 5000}"), [400]),
    "5000 digits as a model's version": (ask("GET", f"/v2/models/s/versions/{'1' * 5000}"), [404]),
    "5000 digits as a length of JSON": (
        ask("POST", INFER, b"{}", f"Inference-Header-Content-Length: {'1' * 5000}"), [400],
    ),
    "5000 digits as a length": (raw(head("POST", EVENTS, f"Content-Length: {'1' * 5000}")), [400]),
    "5000 digits in a tensor": (ask("POST", INFER, tensor(b"[%s]" % DIGITS)), [400]),
    "4000 digits in a tensor": (ask("POST", INFER, tensor(b"[%s]" % DIGITS[:4000])), [422]),
    "4000 digits as a shape": (ask("POST", INFER, tensor(b"[1]", DIGITS[:4000])), [422]),
    "4000 digits as steps": (ask("POST", INFER, b'{"parameters":{"horizon":%s}}' % DIGITS[:4000]), [413]),
    "1e999 in a tensor": (ask("POST", INFER, tensor(b"[1e999]")), [422]),
    "NaN in a tensor": (ask("POST", INFER, tensor(b'["NaN"]')), [422]),
    "true in a tensor": (ask("POST", INFER, tensor(b"[true]")), [422]),
    "a time that no calendar has": (
        ask("POST", INFER, tensor(b'[1]},{"name":"time","datatype":"FP64","shape":[1],"data":[1e18]')), [422],
    ),
    "NaN as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"learning_rate":NaN}'), [400]),
    "1e999 as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"learning_rate":1e999}'), [422]),
    '"Infinity" as a setting': (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"gain":"Infinity"}'), [422]),
    "NaN as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":NaN}}'), [422]),
    "true as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":true}}'), [422]),
    "1e999 as an input to come": (ask("POST", f"{STREAM}/forecast", b'{"x":[{"y":1e999}]}'), [422]),
    '"1e999" as an input to come': (ask("POST", f"{STREAM}/forecast", b'{"x":[{"y":"1e999"}]}'), [422]),
    # Brackets, within the limit of a body and beyond it.
    "60000 brackets": (ask("POST", EVENTS, b"[" * 60_000), [400]),
    "200000 brackets": (ask("POST", EVENTS, b"[" * 200_000), [413]),
    "60000 brackets as a setting": (ask("PUT", "/v1/streams/t", b"[" * 60_000), [400]),
    "60000 brackets in a setting": (ask("PUT", "/v1/streams/t", b'{"targets":' + b"[" * 60_000), [400]),
    "60000 brackets in a tensor": (ask("POST", INFER, tensor(b"[" * 60_000)), [400]),
    "100 pairs of brackets in a tensor": (ask("POST", INFER, tensor(b"[" * 100 + b"1" + b"]" * 100)), [422]),
    "60000 brackets in a forecast": (ask("POST", f"{STREAM}/forecast", b'{"x":' + b"[" * 60_000), [400]),
    "60000 braces in a forecast": (ask("POST", f"{STREAM}/forecast", b"{" * 60_000), [413]),
    "200000 brackets as a line": (ask("POST", EVENTS, b"[" * 200_000, NDJSON), [200, 413]),
    "objects in objects": (ask("POST", EVENTS, b'{"y":' * 12_000), [400]),
    # Keys and texts.
    "a key twice": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":2}}'), [400]),
    "a channel twice": (ask("POST", EVENTS, b'{"y":{"y":1,"\\u0079" :2}}'), [400]),
    "a key twice in a line": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":2}}', NDJSON), [200, 400]),
    "a key twice in a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"targets":["z"]}'), [400]),
    "a key twice, the second wrong": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":"1"}}'), [400]),
    "a channel twice, the second wrong": (ask("POST", EVENTS, b'{"y":{"y":1,"y":true}}'), [422]),
    "NUL after an event": (ask("POST", EVENTS, EVENT + b"\x00"), [400]),
    "NUL in an id": (ask("POST", EVENTS, b'{"id":"a\x00","y":{"y":1}}'), [400]),
    "NUL as a channel": (ask("POST", EVENTS, b'{"y":{"\\u0000":1}}'), [422]),
    "NUL in a target": (ask("PUT", "/v1/streams/t", b'{"targets":["a\\u0000"]}'), [422]),
    "NUL in a header": (raw(head("GET", "/livez", "x: a\x00b")), [400]),
    "NUL in an address": (raw(head("GET", "/livez\x00")), [400]),
    "lone surrogate as an id": (ask("POST", EVENTS, b'{"id":"\\ud800","y":{"y":1}}'), [400]),
    "lone surrogate as a channel": (ask("POST", EVENTS, b'{"y":{"\\udfff":1}}'), [400]),
    "lone surrogate as a target": (ask("PUT", "/v1/streams/t", b'{"targets":["\\ud800"]}'), [400]),
    "lone surrogate as a setting": (ask("POST", f"{STREAM}/clone", b'{"name":"t","config":{"\\ud800":1}}'), [400]),
    "lone surrogate in UTF-8": (ask("POST", EVENTS, b'{"id":"\xed\xa0\x80","y":{"y":1}}'), [400]),
    "129 characters as an id in an address": (ask("PUT", f"{EVENTS}/{'i' * 129}/label", EVENT), [400]),
    "129 characters as an id in a line": (ask("POST", EVENTS, b'{"id":"%s"}' % (b"i" * 129), NDJSON), [200, 422]),
    "129 characters as an id in a tensor": (
        ask(
            "POST", INFER,
            tensor(b'[1]},{"name":"id","datatype":"BYTES","shape":[1],"data":["%s"]' % (b"i" * 129)),
        ), [422],
    ),
    "braces as a clone": (ask("POST", f"{STREAM}/clone", b'{"name":"a{b}"}'), [422]),
    "braces as a snapshot": (ask("POST", f"{STREAM}/snapshots", b'{"name":"{s}"}'), [422]),
    "braces as a snapshot's address": (ask("POST", f"{STREAM}/snapshots/%7Bs%7D/restore"), [400]),
    "braces that are watched": (ask("GET", "/v1/streams/%7Bs%7D/live"), [404]),
    "braces as a model": (ask("POST", "/v2/models/%7Bs%7D/infer", b"{}"), [404]),
    # Bodies that unpack to more than they seem.
    "100 MB of zeros packed": (ask("POST", EVENTS, BOMB[:60_000], GZIP), [413]),
    "100 MB of zeros packed as a setting": (ask("PUT", "/v1/streams/t", BOMB, GZIP), [413]),
    "100 MB of zeros packed as a tensor": (ask("POST", INFER, BOMB, GZIP), [413]),
    "100 MB of zeros packed as a line": (ask("POST", EVENTS, BOMB, NDJSON, GZIP), [200, 413]),
    "brackets packed as a line": (ask("POST", EVENTS, LINE_BOMB, NDJSON, GZIP), [200, 413]),
    # Lengths that lie, chunks that are none.
    "more than its length": (raw(head("POST", EVENTS, "Content-Length: 5") + EVENT), [400]),
    "less than its length": (raw(head("POST", EVENTS, "Content-Length: 50") + EVENT), [408]),
    "two lengths": (raw(head("POST", EVENTS, "Content-Length: 2", "Content-Length: 13") + EVENT), [400]),
    "a length below 0": (raw(head("POST", EVENTS, "Content-Length: -1") + EVENT), [400]),
    "a length and chunks": (raw(head("POST", EVENTS, "Content-Length: 13", CHUNKED) + b"0\r\n\r\n"), [400]),
    "a chunk of no size": (raw(head("POST", EVENTS, CHUNKED) + b"ZZ\r\n" + EVENT), [400]),
    "a chunk of a size below 0": (raw(head("POST", EVENTS, CHUNKED) + b"-1\r\n" + EVENT), [400]),
    "a chunk of 2^68 bytes": (raw(head("POST", EVENTS, CHUNKED) + b"F" * 17 + b"\r\n" + EVENT), [400]),
    "a chunk that is longer than it says": (raw(head("POST", EVENTS, CHUNKED) + b"2\r\n" + EVENT), [400]),
    "chunks with another name": (raw(head("POST", EVENTS, "Transfer-Encoding: xchunked") + b"0\r\n\r\n"), [400]),
    "garbage after lines": (
        raw(head("POST", EVENTS, CHUNKED, NDJSON) + b"2\r\n{\n\r\n", b"ZZ\r\n", pause=0.2), [200],
    ),
    "another protocol": (raw(b"\x16\x03\x01\x00\xc8" + bytes(200)), [400]),
    # What does not end.
    "a body a byte at a time": (slow(head("POST", EVENTS, "Content-Length: 1000"), b" ", 0.1), [408]),
    "a body a chunk at a time": (slow(head("POST", EVENTS, CHUNKED), b"1\r\n \r\n", 0.1), [408]),
    "a head a byte at a time": (slow(b"GET /livez HTTP/1.1\r\nHost: ", b"a", 0.1), [CLOSED]),
    "a body without an end": (endless(head("POST", EVENTS, CHUNKED), b"8000\r\n" + b" " * 0x8000 + b"\r\n", 30), [413]),
    "headers without an end": (endless(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", MANY_HEADERS, 30), [431]),
    "a header without an end": (endless(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nx: ", b"a" * 10_000, 30), [431]),
    "an address without an end": (endless(b"GET /", b"a" * 10_000, 30), [431]),
    "an address of 100 KB": (ask("GET", f"/v1/streams?after={'a' * 100_000}"), [431]),
    "headers after a body without an end": (endless(head("POST", EVENTS, CHUNKED) + b"0\r\n", MANY_HEADERS, 30), [431]),
    "a chunk's extension without an end": (endless(head("POST", EVENTS, CHUNKED) + b"1;", b"a" * 10_000, 30), [431]),
    "400 idle connections": (idle(400), [CLOSED]),
    # Several requests at once.
    "a request, then what is none": (raw(head("GET", "/livez") + b"ZZ\r\n\r\n"), [200]),
    "a request, then one whose body is none": (
        raw(head("GET", "/livez") + head("POST", EVENTS, CHUNKED) + b"ZZ\r\n" + EVENT), [200, 400],
    ),
    "a body that is none, of a request that is answered without it": (
        raw(head("POST", "/nothing", CHUNKED) + b"ZZ\r\n" + EVENT), [400],
    ),
    "a WebSocket behind a request": (raw(head("GET", STREAM) + head("GET", f"{STREAM}/ws", *UPGRADE)), [200]),
    "3,000 requests at once": (
        raw(head("GET", "/livez") * 3000 + head("GET", "/livez", "Connection: close")), [200] * 3001,
    ),
    # Handshakes that cannot be read.
    "a handshake of 150 headers": (
        raw(head("GET", f"{STREAM}/ws", *UPGRADE, *(f"h{i}: x" for i in range(150)))), [431],
    ),
    "a handshake with a header of 9,000 bytes": (raw(head("GET", f"{STREAM}/ws", *UPGRADE, f"h: {'x' * 9000}")), [431]),
    # WebSockets.
    "a frame a byte at a time": (frames(*(bytes([b]) for b in frame(b'{"y":1}')), pause=0.15), [422]),
    "10^5 parts of nothing": (frames(frame(b"", final=False), *[frame(b"", 0, final=False) * 1000] * 100), [1009]),
    "10^5 parts of a byte": (frames(frame(b"[", final=False), *[frame(b"[", 0, final=False) * 1000] * 100), [1009]),
    "25 MB of pings whose answers are not read": (deaf, []),
    "10^5 pings": (frames(*[frame(b"", 9) * 1000] * 100), []),
    "10^4 messages that say nothing": (nothing_to_say, [422]),
    "a frame of 2^63 bytes": (frames(b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4)), [1009]),
    "a frame that is not masked": (frames(b"\x81\x01{"), [1002]),
    "a lone surrogate in a frame": (frames(frame(b"\xed\xa0\x80")), [1007]),
    "a lone surrogate in a message": (frames(frame(b'{"id":"\\ud800","y":{"y":1}}')), [400]),
    "NUL in a message": (frames(frame(EVENT + b"\x00")), [400]),
}  # fmt: skip
