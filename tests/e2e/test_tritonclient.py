"""A client that others wrote, NVIDIA's for Triton, against a real service: what speaks the protocol can speak to us."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.service.client.sync import Client
from tests.support.needs import NEEDS
from tests.support.processes import RunningService

# The package brings some twenty others, gevent among them: too many to be installed for the sake of one test.
triton = pytest.importorskip("tritonclient.http", reason=f"{NEEDS}the package tritonclient[http]")


@pytest.fixture
def client(shared_service: RunningService) -> Iterator[Any]:
    client = triton.InferenceServerClient(shared_service.url.removeprefix("http://"))
    yield client
    client.close()


def tensor(name: str, values: np.ndarray, *, binary: bool) -> Any:
    kinds = {"float64": "FP64", "object": "BYTES"}
    one = triton.InferInput(name, list(values.shape), kinds[str(values.dtype)])
    return one.set_data_from_numpy(values, binary_data=binary)


def test_it_finds_its_way(client: Any, shared_service: RunningService) -> None:
    with Client(shared_service.url) as ours:
        ours.create("triton-about", targets=["a", "b"], inputs=["c"], units=8)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("triton-about")
    assert not client.is_model_ready("triton-nobody")
    assert client.get_server_metadata()["name"] == "nobacktrack"
    about = client.get_model_metadata("triton-about")
    assert about["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}]


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_it_learns_and_predicts(client: Any, shared_service: RunningService, binary: bool) -> None:
    name = f"triton-{'binary' if binary else 'json'}"
    config = model.Config(targets=("a", "b"), units=8)
    with Client(shared_service.url) as ours:
        ours.create(name, config.to_dict())
    learner = model.Learner(config)
    y = np.array([[1.0, 2.0], [2.0, np.nan], [1.5, 4.0], [0.5, 3.0]])
    ids = np.array([b"e1", b"e2", b"e3", b"e4"], dtype=object)
    inputs = [tensor("y", y, binary=binary), tensor("id", ids, binary=binary)]
    wanted = [
        triton.InferRequestedOutput(one, binary_data=binary)
        for one in ("prediction", "lower", "upper", "loss", "version")
    ]
    expected = learner.observe_many(y)
    for request_id in ("first", "again"):
        result = client.infer(name, inputs, outputs=wanted, request_id=request_id, parameters={"learn": True})
        assert result.get_response()["id"] == request_id
        for field in ("prediction", "lower", "upper", "loss", "version"):
            assert np.array_equal(result.as_numpy(field), getattr(expected, field), equal_nan=True), field
    ahead = learner.forecast(5)
    # No output is named: all of them, in the form that the client likes best.
    result = client.infer(name, [], parameters={"horizon": 5})
    for field in ("mean", "lower", "upper"):
        assert np.array_equal(result.as_numpy(field), getattr(ahead, field), equal_nan=True), field
    assert result.get_response()["model_version"] == "4"


def test_it_reads_our_errors(client: Any) -> None:
    refused = pytest.importorskip("tritonclient.utils").InferenceServerException
    with pytest.raises(refused, match="There is no such stream") as raised:
        client.infer("triton-nobody", [])
    assert raised.value.status() == "404"
