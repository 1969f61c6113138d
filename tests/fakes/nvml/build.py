"""Compiles the fake library once per state of its sources; several test workers may do so at the same moment."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.fakes.nvml import layout

LIBRARY = "libnvidia-ml.so.1"
_HERE = Path(__file__).resolve().parent
_CACHE = _HERE.parents[2] / "build" / "fake-nvml"
_FLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"),
)


def compiler() -> str | None:
    """The path of the C compiler, None where there is none."""
    return shutil.which("cc")


def build_library() -> Path:
    """The folder that holds the compiled library; RuntimeError with the compiler's words when it does not compile."""
    sources = sorted(_HERE.glob("*.c"))
    folder = _CACHE / _fingerprint([*sources, *sorted(_HERE.glob("*.h"))])
    if not (folder / LIBRARY).exists():
        _compile(sources, folder)
    return folder


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256(repr(_FLAGS).encode() + layout.header().encode())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _compile(sources: list[Path], folder: Path) -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix="making-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        (made / "layout.h").write_text(layout.header())
        command = [compiler() or "cc", *_FLAGS, f"-I{made}", "-o", str(made / LIBRARY), *map(str, sources)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            message = f"the fake NVML library does not compile:\n{outcome.stderr}"
            raise RuntimeError(message)
        _publish(made, folder)


def _publish(made: Path, folder: Path) -> None:
    # A rename onto a folder that another worker has just put there fails, and that one is as good as ours.
    try:
        made.rename(folder)
    except OSError:
        if not (folder / LIBRARY).exists():
            raise
