"""A learner as bytes, and back: versioned, checksummed, plain numbers (no pickle).

    8 bytes magic | u32 length of the header | header, JSON | the arrays, little-endian, one after the other

The header holds the format, the configuration and, for every array, name, dtype, shape and CRC-32; a SHA-256 over all
that precedes it closes the file. Reading checks all of it before a learner exists.
"""

import hashlib
import json
import math
import struct
import zlib

import numpy as np

from model.config import Config, ConfigError
from model.initial import initial
from model.learner import Learner
from model.state import State, arrays

MAGIC = b"NBTLRN\r\n"
FORMAT = 1
_LENGTH = struct.Struct("<I")
_HASH = 32


class DamagedState(ValueError):
    """Bytes that are not a whole learner; the message says which part."""


class OtherFormat(ValueError):
    """A learner written by another version of this package."""


def to_bytes(learner: Learner) -> bytes:
    """The complete learner. The same learner gives the same bytes on every machine."""
    parts, blobs = [], []
    for name, array in arrays(learner.state):
        blob = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        parts.append({"name": name, "dtype": array.dtype.name, "shape": array.shape, "crc": zlib.crc32(blob)})
        blobs.append(blob)
    header = json.dumps({"format": FORMAT, "config": learner.config.to_dict(), "parts": parts}).encode()
    body = b"".join([MAGIC, _LENGTH.pack(len(header)), header, *blobs])
    return body + hashlib.sha256(body).digest()


def from_bytes(blob: bytes) -> Learner:
    """The inverse of `to_bytes`. Raises DamagedState or OtherFormat."""
    start = len(MAGIC) + _LENGTH.size
    if len(blob) < start + _HASH or not blob.startswith(MAGIC):
        raise DamagedState("these are not the bytes of a learner")
    if hashlib.sha256(memoryview(blob)[:-_HASH]).digest() != blob[-_HASH:]:
        raise DamagedState(f"the bytes of the learner are damaged in {_damaged_part(blob, start)}")
    end = start + _LENGTH.unpack_from(blob, len(MAGIC))[0]
    header = json.loads(blob[start:end])
    if header["format"] != FORMAT:
        raise OtherFormat(f"the learner has format {header['format']}; this version reads format {FORMAT}")
    try:
        config = Config.from_dict(header["config"])
    except ConfigError as error:
        raise OtherFormat(f"the learner's configuration is of another version: {error}") from error
    state = initial(config)
    _fill(state, header["parts"], blob, end)
    return Learner.from_state(config, state)


def _fill(state: State, parts: list[dict[str, object]], blob: bytes, offset: int) -> None:
    for (name, array), part in zip(arrays(state), parts, strict=True):
        if part["name"] != name or part["dtype"] != array.dtype.name or tuple(part["shape"]) != array.shape:  # type: ignore[arg-type]
            raise OtherFormat(f"the learner's array {name} is not what this version keeps")
        values = np.frombuffer(blob, array.dtype.newbyteorder("<"), array.size, offset)
        array[...] = values.reshape(array.shape)
        offset += array.nbytes


def _damaged_part(blob: bytes, start: int) -> str:
    """Where the damage is, as far as the header can still tell."""
    end = start + _LENGTH.unpack_from(blob, len(MAGIC))[0]
    try:
        parts = json.loads(blob[start:end])["parts"]
        offset = end
        for part in parts:
            size = math.prod(part["shape"]) * np.dtype(part["dtype"]).itemsize
            if zlib.crc32(blob[offset : offset + size]) != part["crc"]:
                return str(part["name"])
            offset += size
    except (ValueError, TypeError, KeyError):
        return "the header"
    return "the checksum"
