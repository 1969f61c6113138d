"""torch for the tests in this folder, or a skip; with one thread, as tests share the machine's cores."""

import importlib
import importlib.util
import os
import warnings

import pytest


@pytest.fixture(scope="session", autouse=True)
def torch():
    """The library itself."""
    if importlib.util.find_spec("torch") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("torch is not installed")
    with warnings.catch_warnings():
        # Without numpy it complains, once, when its stand-in tensors are used first.
        warnings.simplefilter("ignore")
        torch = importlib.import_module("torch")
        with torch.device("meta"):
            torch.zeros(1)
    torch.set_num_threads(1)
    return torch


@pytest.fixture
def on_cpu(torch):
    """Where and how the tests' models run."""
    from exporter.workload.devices import Ground

    torch.manual_seed(1)
    return Ground(torch.device("cpu"), "fp32")
