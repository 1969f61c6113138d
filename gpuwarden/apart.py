"""Work that loads much and leaves little, done in a child so that this process stays small.

A library that has been imported stays for good. What reads and checks settings takes megabytes that a process which
then runs for months never uses again.
"""

import os
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from gpuwarden.errors import GpuwardenError

T = TypeVar("T")


class ChildEndedError(GpuwardenError, RuntimeError):
    """The child ended without an answer."""


def apart(work: Callable[[], T]) -> T:
    """What ``work`` gives; answer and exception are pickled. To be called before any thread is started.

    Raises:
        ChildEndedError: the child was killed; anything that ``work`` raises is raised here too.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        message = "the settings could not be read: the process that read them was ended"
        raise ChildEndedError(message)
    succeeded, value = pickle.loads(answer)  # noqa: S301 -- our own child's
    if not succeeded:
        raise value
    return value


def _answer(work: Callable[[], Any], writing: int) -> None:
    """In the child: write the answer and end, without what a normal end would do in the name of the parent."""
    try:
        try:
            answer = True, work()
        except Exception as error:  # noqa: BLE001 -- it is the parent's to judge
            answer = False, error
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
    finally:
        os._exit(0)
