"""Waiting for something to become true, without sleeping for a fixed time."""

import time
from collections.abc import Callable

_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], seconds: float, complaint: str | Callable[[], str]) -> None:
    """Poll until ``condition`` holds; AssertionError with ``complaint`` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint if isinstance(complaint, str) else complaint()
        time.sleep(_POLL_SECONDS)
