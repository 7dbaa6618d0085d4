"""Examples of answers for the OpenAPI document, built by the same classes as real answers, so that their shapes are
real. All are about one stream, `taxi`, with the target `load` and the input `promo`.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel

from ... import model
from ..errors import BadEvent
from ..schemas import (
    Diagnostics,
    Forecast,
    Outcome,
    RecentStatus,
    Seen,
    SnapshotList,
    SnapshotStatus,
    Step,
    StreamList,
    StreamStatus,
)
from .kserve.schemas import InferResponse, Live, ModelMetadata, ModelReady, Ready, Server, Shape
from .kserve.tensors import InferRequest, table, write_response

_CONFIG = model.Config(targets=("load",), inputs=("promo",))
_KEPT = SnapshotStatus(name="v17", version=17, created=1767258000.25)
_MEAN, _LOWER, _UPPER = 44.0, 40.0, 48.0


def _tensors(asked: InferRequest) -> bytes:
    outputs = {name: table([[value]], 1) for name, value in (("mean", _MEAN), ("lower", _LOWER), ("upper", _UPPER))}
    return write_response({"model_name": "taxi", "model_version": "17"}, asked, outputs)[0]


OUTCOME = Outcome(
    id="a1",
    version=17,
    prediction={"load": 42.4},
    lower={"load": 40.1},
    upper={"load": 44.7},
    loss=0.0057,
    baseline_loss=0.5161,
    anomaly=0.0,
    next=None,
)

SEEN = Seen(**OUTCOME.model_dump(exclude={"pending"}), time=datetime(2026, 1, 1, 9, tzinfo=UTC), y={"load": 43.2})

_ANSWERS: tuple[BaseModel, ...] = (
    OUTCOME,
    StreamStatus(
        name="taxi",
        version=17,
        config=json.loads(json.dumps(_CONFIG.to_dict())),
        fingerprint=_CONFIG.fingerprint(),
        digest="b85eb8ed4cfff839e56f468d40e0cae4287d9803795a169d853e88c925daae93",
        parameters=5440,
        state_bytes=185392,
        pending=0,
        checkpoint=0,
        update_seconds=0.000031,
        recent=RecentStatus(events=15, loss=0.675, baseline_loss=1.064, skill=0.204, coverage=0.929, drift=False),
    ),
    StreamList(streams=["taxi", "tram"], next="tram"),
    Forecast(version=17, steps=[Step(mean={"load": _MEAN}, lower={"load": _LOWER}, upper={"load": _UPPER})]),
    _KEPT,
    SnapshotList(snapshots=[_KEPT]),
    Diagnostics(version=17, events=17, samples=50, bias_z=None, squared_error=0.0925, cosine=0.9527),
    Server(name="nobacktrack", version="1", extensions=["binary_tensor_data", "learn"]),
    Live(live=True),
    Ready(ready=True),
    ModelReady(name="taxi", ready=True),
    ModelMetadata(
        name="taxi",
        versions=["17"],
        platform="nobacktrack",
        inputs=[Shape(name="x", datatype="FP64", shape=[-1, 1])],
        outputs=[Shape(name=name, datatype="FP64", shape=[-1, 1]) for name in ("mean", "lower", "upper")],
        parameters={"targets": "load", "inputs": "promo", "y_datatype": "FP64"},
    ),
    InferResponse.model_validate_json(_tensors(InferRequest())),
)


def _written(answers: Iterable[BaseModel]) -> dict[str, object]:
    # Lists of streams and tensors leave out fields that are null.
    sparse = (StreamList, InferResponse)
    return {type(one).__name__: one.model_dump(mode="json", exclude_none=isinstance(one, sparse)) for one in answers}


ANSWERS = _written(_ANSWERS)
"""Examples by the name of their schema."""
BULK = "\n".join([OUTCOME.model_dump_json(), json.dumps(BadEvent.example().problem() | {"line": 2}), ""])
"""The answer to a bulk request: an outcome, and the problem of a refused line."""
WATCHED = f": watching\n\nid: 17\ndata: {SEEN.model_dump_json()}\n\n"
"""A comment and one outcome as server-sent events."""
TENSORS = _tensors(InferRequest(parameters={"binary_data_output": True})).decode()
"""JSON followed by numbers as bytes, which happen to be ASCII here."""
METRICS = """\
# HELP nobacktrack_ready 1 when the kernels are compiled and the store answers.
# TYPE nobacktrack_ready gauge
nobacktrack_ready 1.0
"""
