"""CIFAR-10's files, as they are published, and files that only look like them."""

import pickle
import struct

import pytest

from exporter.workload.cifar import IMAGE_BYTES, read
from exporter.workload.spec import Refused

LABELS = bytes([6, 0, 9])
IMAGES = bytes(number % 251 for number in range(3 * IMAGE_BYTES))


def of_python_2(images=IMAGES, labels=LABELS, *, by_columns=False, kind=b"u1", reconstruct=b"numpy.core.multiarray"):
    """A batch as Python 2 pickled it: byte strings, protocol 2, an array through numpy's own names."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    shape = b"M" + struct.pack("<H", len(labels)) + b"M" + struct.pack("<H", IMAGE_BYTES) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN"
    dtype += b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    array = b"c" + reconstruct + b"\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + (b"\x88" if by_columns else b"\x89")
    array += b"T" + struct.pack("<i", len(images)) + images + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"labels") + numbers + text(b"data") + array + b"u."


def binary(images=IMAGES, labels=LABELS):
    """A batch of the binary version: a label, then its image, and so on."""
    records = zip(labels, (images[at : at + IMAGE_BYTES] for at in range(0, len(images), IMAGE_BYTES)), strict=True)
    return b"".join(bytes([label]) + image for label, image in records)


@pytest.mark.parametrize("within", [".", "cifar-10-batches-py"])
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_the_python_version_is_read_without_numpy(tmp_path, within, module):
    """A user would need another library to train on the files that he has."""
    (tmp_path / within).mkdir(exist_ok=True)
    (tmp_path / within / "data_batch_1").write_bytes(of_python_2(reconstruct=module))

    assert read(tmp_path) == (IMAGES, LABELS)


@pytest.mark.parametrize("within", [".", "cifar-10-batches-bin"])
def test_the_binary_version_is_read(tmp_path, within):
    """A user with the other download could not use it."""
    (tmp_path / within).mkdir(exist_ok=True)
    (tmp_path / within / "data_batch_1.bin").write_bytes(binary())

    assert read(tmp_path) == (IMAGES, LABELS)


def test_all_batches_are_one_epoch(tmp_path):
    """A fifth of the images would be called an epoch."""
    for number in (2, 1):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(binary(labels=bytes([number] * 3)))

    assert read(tmp_path) == (IMAGES * 2, bytes([1, 1, 1, 2, 2, 2]))


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path):
    """A downloaded file would do on the user's machine whatever its author likes."""
    target = tmp_path / "written"
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Harmful(target), b"labels": [1]}))
    with pytest.raises(Refused, match=r"io\.open does not belong into a CIFAR-10 batch") as caught:
        read(tmp_path)

    assert caught.value.reason == "no_data"
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        of_python_2()[:-100],
        of_python_2(images=IMAGES[:-1]),
        of_python_2(labels=b"\x0a" * 3),
        of_python_2(by_columns=True),
        of_python_2(kind=b"f4"),
        pickle.dumps({b"labels": [1]}),
        pickle.dumps([1]),
    ],
    ids=["empty", "garbage", "cut", "an image short", "no such class", "by columns", "floats", "no data", "a list"],
)
def test_what_is_no_batch_is_refused_by_its_name(tmp_path, content):
    """A damaged download would end in a traceback, or be trained on."""
    (tmp_path / "data_batch_3").write_bytes(content)
    with pytest.raises(Refused, match="data_batch_3 is no CIFAR-10 batch") as caught:
        read(tmp_path)

    assert caught.value.reason == "no_data"


@pytest.mark.parametrize("content", [b"", binary()[:-1], b"\x0a" + binary()[1:]], ids=["empty", "cut", "no such class"])
def test_what_is_no_binary_batch_is_refused_by_its_name(tmp_path, content):
    """A damaged download would be trained on."""
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(Refused, match="no CIFAR-10 batch"):
        read(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    """A user who mistypes the folder would be given the figures of random images."""
    with pytest.raises(Refused, match="has no data_batch_1"):
        read(tmp_path)
