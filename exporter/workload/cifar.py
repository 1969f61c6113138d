"""CIFAR-10's training images from a folder, as published: the Python version's pickles or the binary version.

A pickle can run any code, and this one would need numpy: so it is read by an unpickler that knows the three names
which these files use, and refuses all others. The images come out as bytes, 3 072 each: 32 x 32 red, green, blue.
"""

import io
import pickle
import typing
from collections.abc import Callable
from pathlib import Path

from .spec import NO_DATA, Refused

IMAGE_BYTES = 3 * 32 * 32
_RECORD_BYTES = 1 + IMAGE_BYTES
CLASSES = 10


def read(folder: Path) -> tuple[bytearray, bytearray]:
    """All images and all labels.

    Raises:
        Refused: where there are none, or they are not CIFAR-10's.
    """
    for within in (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin"):
        if files := sorted(within.glob("data_batch_?.bin")):
            return _gather(files, _from_binary)
        if files := sorted(within.glob("data_batch_?")):
            return _gather(files, _from_pickle)
    message = f"{folder} has no data_batch_1 or data_batch_1.bin of CIFAR-10"
    raise Refused(NO_DATA, message)


def _gather(files: list[Path], reader: Callable[[bytes], tuple[bytes, bytes]]) -> tuple[bytearray, bytearray]:
    images, labels = bytearray(), bytearray()
    for file in files:
        try:
            some_images, some_labels = reader(file.read_bytes())
        # A damaged pickle can raise anything.
        except Exception as error:
            message = f"{file} is no CIFAR-10 batch: {error!r}"
            raise Refused(NO_DATA, message) from error
        if len(some_images) != len(some_labels) * IMAGE_BYTES or not some_labels or max(some_labels) >= CLASSES:
            message = f"{file} is no CIFAR-10 batch: images and labels do not match"
            raise Refused(NO_DATA, message)
        images += some_images
        labels += some_labels
    return images, labels


def _from_binary(content: bytes) -> tuple[bytes, bytes]:
    records = range(0, len(content), _RECORD_BYTES)
    labels = bytes(content[start] for start in records)
    return b"".join(content[start + 1 : start + _RECORD_BYTES] for start in records), labels


def _from_pickle(content: bytes) -> tuple[bytes, bytes]:
    batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    return batch[b"data"].content, bytes(batch[b"labels"])


class _Array:
    """Stands in for a numpy array; only the bytes of rows of uint8 are of use."""

    content = b""

    def __setstate__(self, state: tuple[typing.Any, ...]) -> None:
        _, _, kind, by_columns, content = state
        if kind.name != b"u1" or by_columns:
            message = "the array is not rows of bytes"
            raise pickle.UnpicklingError(message)
        self.content = content


class _Kind:
    """Stands in for numpy's dtype."""

    def __init__(self, name: bytes, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """The byte order of single bytes does not matter."""


def _empty_array(*_: object) -> _Array:
    return _Array()


class _Unpickler(pickle.Unpickler):
    """Knows what is in the files and nothing else."""

    def find_class(self, module_name: str, global_name: str) -> object:
        """The stand-in for a name."""
        if global_name == "_reconstruct" and module_name in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            return _empty_array
        known = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Kind}
        if (module_name, global_name) in known:
            return known[module_name, global_name]
        message = f"{module_name}.{global_name} does not belong into a CIFAR-10 batch"
        raise pickle.UnpicklingError(message)
