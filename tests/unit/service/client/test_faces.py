"""The two clients offer the same, and the public names say where they are imported from."""

import importlib
import inspect
import pickle
import subprocess
import sys

import pytest

import nobacktrack
from nobacktrack import AsyncClient, Client


def public(kind: type) -> dict[str, list[tuple[str, object, object]]]:
    """Names, kinds and defaults of the parameters of each public method."""
    methods = {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}
    return {
        name: [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]
        for name, method in ({"__init__": kind.__init__} | methods).items()  # type: ignore[misc]
    }


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    assert public(Client) == public(AsyncClient)
    assert len(public(Client)) > 10


@pytest.mark.parametrize("name", [name for name in nobacktrack.__all__ if name != "Answer"])  # which is a union
def test_public_names_say_nobacktrack(name: str) -> None:
    value = getattr(nobacktrack, name)
    assert value.__module__ == "nobacktrack"
    assert value.__doc__
    assert pickle.loads(pickle.dumps(value)) is value  # noqa: S301 - our own


def test_the_names_of_the_package_are_those_it_loads() -> None:
    assert sorted(nobacktrack.__all__) == sorted(set(nobacktrack.__all__))
    assert set(nobacktrack.__all__) <= set(dir(nobacktrack))
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        nobacktrack.Clients  # noqa: B018 - the attribute is asked for
    assert importlib.import_module("nobacktrack.service.client").Client is Client


def test_the_client_loads_no_compiler() -> None:
    """`tests/e2e/test_wheel.py` proves the same of the wheel, with nothing else installed."""
    code = "import sys; from nobacktrack import Client; print({'numpy', 'numba', 'fastapi', 'typer'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"
