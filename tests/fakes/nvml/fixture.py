"""The fake driver as a pytest fixture."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.nvml.build import compiler
from tests.fakes.nvml.driver import FakeDriver


@pytest.fixture
def fake_driver(tmp_path: Path) -> Iterator[Callable[..., FakeDriver]]:
    """``fake_driver("rtx-3060", "rtx-3090")`` is a loaded driver with these cards; with no name it has none."""
    if compiler() is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("the fake NVML library needs a C compiler (cc)")
    with ExitStack() as stack:

        def create(*profiles: str) -> FakeDriver:
            directory = tmp_path / f"driver-{len(list(tmp_path.glob('driver-*')))}"
            directory.mkdir()
            return stack.enter_context(FakeDriver.create(directory, profiles))

        yield create
