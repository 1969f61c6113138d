"""What ``python .../exporter/workload`` runs, in any Python with torch, whether gpuwarden is installed there or not.

Started by the folder's path, the folder itself would head the interpreter's search path and its files would hide
modules of the same name from torch. So it is taken off, and the folder is loaded as a package under a name of its own.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_NAME = "gpuwarden_workload"


def _child() -> ModuleType:
    """The module ``child``, of the package that this folder is or becomes."""
    if __package__:
        return importlib.import_module(f"{__package__}.child")
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None, "this file has a neighbour __init__.py"  # noqa: S101
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{_NAME}.child")


if __name__ == "__main__":
    sys.exit(_child().main(sys.argv[1:]))
