"""A learner as bytes, and back: versioned, checksummed, plain numbers (no pickle).

    8 bytes magic | u32 length of the header | header, JSON | the arrays, little-endian, one after the other

The header holds the format (`formats` reads the older ones), the configuration and, for every array, name, dtype, shape
and CRC-32; a SHA-256 over all that precedes it closes the file. Reading checks all of it before a learner exists.
"""

import hashlib
import json
import math
import struct
import zlib
from typing import Any

import numpy as np

from ..config import ConfigError
from ..learner import Learner
from ..state import arrays
from ..types import Array
from . import formats

MAGIC = b"NBTLRN\r\n"
_LENGTH = struct.Struct("<I")
_HASH = 32


class DamagedState(ValueError):
    """Bytes that are not a whole learner; the message says which part."""


class OtherFormat(ValueError):
    """A learner written by a version of this package that this one does not know."""


def to_bytes(learner: Learner) -> bytes:
    """The complete learner. The same learner gives the same bytes on every machine."""
    parts, blobs = [], []
    for name, array in arrays(learner.state):
        blob = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        parts.append({"name": name, "dtype": array.dtype.name, "shape": array.shape, "crc": zlib.crc32(blob)})
        blobs.append(blob)
    header = json.dumps({"format": formats.NEWEST, "config": learner.config.to_dict(), "parts": parts}).encode()
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
    written = header["format"]
    if not 1 <= written <= formats.NEWEST:
        raise OtherFormat(f"the learner has format {written}; this version reads formats 1 to {formats.NEWEST}")
    try:
        config = formats.stored_config(header["config"])
    except ConfigError as error:
        raise OtherFormat(f"the learner's configuration is of another version: {error}") from error
    state = formats.state(config, _arrays(header["parts"], blob, end), written)
    if state is None:
        raise OtherFormat("the learner's arrays are not what this version keeps for its configuration")
    return Learner.from_state(config, state)


def _arrays(parts: list[dict[str, Any]], blob: bytes, offset: int) -> dict[str, Array]:
    """Every array by its name."""
    found: dict[str, Array] = {}
    for part in parts:
        shape, dtype = tuple(part["shape"]), np.dtype(part["dtype"])
        values = np.frombuffer(blob, dtype.newbyteorder("<"), math.prod(shape), offset)
        found[part["name"]] = values.reshape(shape).astype(dtype)
        offset += math.prod(shape) * dtype.itemsize
    return found


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
