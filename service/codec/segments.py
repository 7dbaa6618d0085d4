"""Events as bytes: the segments of a stream's log, and the chain of hashes over them.

A segment is one commit's events. Little-endian, after a header of 28 bytes:

    u8 format | u8 0 | u16 targets q | u16 inputs m | u16 0 | u32 count T | u64 first version | u64 nonce
    f64 times (T,) | f64 targets (T, q) | f64 inputs (T, m)          NaN = not given

The nonce is random: it tells a commit from any other of the same events, so that one whose reply was lost can be
looked for in the log.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

FORMAT = 1
_HEADER = struct.Struct("<BxHHxxIQQ")


class DamagedLog(ValueError):
    """A segment that cannot be read."""


@dataclass(frozen=True, slots=True)
class Events:
    """T events in order, the first of which makes the learner's version `first`."""

    first: int
    times: Float64
    """(T,) seconds since the epoch."""
    Y: Float64
    """(T, q) targets."""
    X: Float64
    """(T, m) inputs."""

    @property
    def last(self) -> int:
        """The version after all of them."""
        return self.first + len(self.times) - 1


def encode(events: Events, nonce: int) -> bytes:
    """Events as one segment; `nonce` from 0 to 2**64 - 1."""
    count, targets = events.Y.shape
    header = _HEADER.pack(FORMAT, targets, events.X.shape[1], count, events.first, nonce)
    arrays = (events.times, events.Y, events.X)
    return header + b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)


def decode(segment: bytes) -> Events:
    """The inverse of `encode`. Raises DamagedLog for anything else."""
    if len(segment) < _HEADER.size or segment[0] != FORMAT:
        raise DamagedLog("a segment of the log has an unknown format")
    _, targets, inputs, count, first, _ = _HEADER.unpack_from(segment)
    if len(segment) != _HEADER.size + 8 * count * (1 + targets + inputs):
        raise DamagedLog("a segment of the log has the wrong length")
    # A copy: to the compiler, an array that is read-only or not aligned is another type, to be compiled for anew.
    values = np.frombuffer(segment, dtype="<f8", offset=_HEADER.size).astype(np.float64, copy=True)
    times, Y, X = np.split(values, (count, count * (1 + targets)))
    return Events(first, times, Y.reshape(count, targets), X.reshape(count, inputs))


def bounds(segment: bytes) -> tuple[int, int]:
    """(first, last) version of a segment, without decoding it."""
    _, _, _, count, first, _ = _HEADER.unpack_from(segment)
    return first, first + count - 1


def genesis(epoch: str) -> bytes:
    """The chain of a stream without events."""
    return hashlib.sha256(b"nobacktrack log\0" + epoch.encode()).digest()


def link(chain: bytes, segment: bytes) -> bytes:
    """The chain after one more segment: SHA-256(chain, segment)."""
    return hashlib.sha256(chain + segment).digest()
