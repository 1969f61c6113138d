"""Files that a reader finds whole, the old one or the new one, also after a crash."""

import contextlib
import os
import pathlib
import tempfile

_EVERYBODY_READS = 0o644


def replace_file(path: pathlib.Path, text: str) -> None:
    """Put a file with this text, as UTF-8, in the place of whatever is there; everybody may read it.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            os.fchmod(file.fileno(), _EVERYBODY_READS)
            os.fsync(file.fileno())
        pathlib.Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            pathlib.Path(temporary).unlink()
        raise
