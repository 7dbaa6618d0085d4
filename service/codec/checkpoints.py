"""A checkpoint as bytes: the learner, and the chain of the log that made it.

    32 bytes chain | 32 bytes SHA-256 over the chain and the learner's own hash | the learner (`model.to_bytes`)

The learner's bytes are checked by their own hash; with the second one nothing in the checkpoint is left unchecked.
"""

import hashlib

from ... import model

CHAIN = CHECK = 32


def pack(chain: bytes, learner: model.Learner) -> bytes:
    """The checkpoint of a learner that has learnt the log up to `chain`."""
    blob = model.to_bytes(learner)
    return chain + _check(chain, blob) + blob


def unpack(checkpoint: bytes) -> tuple[bytes, model.Learner]:
    """(chain, learner). Raises model.DamagedState or model.OtherFormat."""
    chain, check, blob = checkpoint[:CHAIN], checkpoint[CHAIN : CHAIN + CHECK], checkpoint[CHAIN + CHECK :]
    learner = model.from_bytes(blob)
    if check != _check(chain, blob):
        raise model.DamagedState("the bytes of the checkpoint are damaged in the chain")
    return chain, learner


def chain_of(checkpoint: bytes) -> bytes:
    """The chain alone, unchecked."""
    return checkpoint[:CHAIN]


def _check(chain: bytes, blob: bytes) -> bytes:
    return hashlib.sha256(chain + blob[-CHECK:]).digest()
