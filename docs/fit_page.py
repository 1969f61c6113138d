"""The page about what fits is written by hand, but for one table: the estimates beside what was measured."""

import pathlib
import re

from measured_memory import comparison

_BEGIN = "<!-- comparison: made by docs/remake.py from the code -->"
_END = "<!-- end of comparison -->"


def fit_page() -> str:
    """The page as it is, with that table made anew."""
    text = (pathlib.Path(__file__).parent / "fit.md").read_text()
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{_BEGIN}\n{comparison()}{_END}", text)
