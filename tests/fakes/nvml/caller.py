"""A process of its own in which the real nvidia-ml-py makes the calls that a test asks for, one after the other.

The binding loads the library once per process, so each test has its process. A request is Python source, evaluated
there with ``n`` (pynvml), ``h`` (handles by index, filled on first use), ``pool`` (threads), ``ctypes`` and
``raw`` (the bare function by its symbol); the answer comes back as JSON, structures as dictionaries.
"""

import ctypes
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self

_PATIENCE = 20.0


class Refused(Exception):  # noqa: N818 -- it is NVML's answer, not a fault of the test
    """NVML answered an error: ``code`` is nvmlReturn_t, ``kind`` the binding's exception class."""

    def __init__(self, code: int, kind: str) -> None:
        super().__init__(f"{kind} ({code})")
        self.code = code
        self.kind = kind


class Caller:
    """The process; a context manager. ``environment`` is what the fake driver says, on top of our own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
            bufsize=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, source: str) -> object:
        """The value of ``source``; Refused when NVML answers an error, RuntimeError for anything else raised."""
        self._process.stdin.write(json.dumps(source).encode() + b"\n")
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
        if not ready:
            message = f"no answer within {_PATIENCE} s: {source}"
            raise TimeoutError(message)
        line = self._process.stdout.readline()
        if not line:
            message = f"the process ended with status {self._process.wait()}: {source}"
            raise ChildProcessError(message)
        return _value(json.loads(line))

    def code(self, source: str) -> int:
        """What NVML answers to ``source``: 0 for success."""
        try:
            self(source)
        except Refused as refused:
            return refused.code
        return 0


def _value(answer: Mapping[str, object]) -> object:
    if "value" in answer:
        return answer["value"]
    if "code" in answer:
        raise Refused(answer["code"], answer["kind"])
    raise RuntimeError(answer["raised"])


def _jsonable(value: object) -> object:
    if isinstance(value, (ctypes.Structure, ctypes.Union)):
        return {name: getattr(value, name) for name, *_ in value._fields_}
    if isinstance(value, ctypes.Array):
        return list(value)
    if isinstance(value, ctypes._Pointer):
        return ctypes.cast(value, ctypes.c_void_p).value
    return vars(value)


def _serve() -> None:
    import pynvml

    class Handles(dict):
        def __missing__(self, index: int) -> object:
            return self.setdefault(index, pynvml.nvmlDeviceGetHandleByIndex(index))

    names = {
        "n": pynvml,
        "h": Handles(),
        "pool": ThreadPoolExecutor(8),
        "ctypes": ctypes,
        "raw": pynvml._nvmlGetFunctionPointer,
    }
    for line in sys.stdin:
        try:
            answer = {"value": eval(json.loads(line), names)}
        except pynvml.NVMLError as error:
            answer = {"code": error.value, "kind": type(error).__name__}
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shall read it
            answer = {"raised": repr(error)}
        sys.stdout.write(json.dumps(answer, default=_jsonable) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
