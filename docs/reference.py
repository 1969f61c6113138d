"""What every reference page is made of."""

import ast
import inspect
import itertools
from collections.abc import Iterable

MADE = "<!-- Made by docs/remake.py from the code; do not edit. -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def docstring(cls: type, name: str) -> str:
    """The text that stands below a field in the source of its class, or of the class from which it comes."""
    for owner in cls.__mro__[:-1]:
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 -- a class's source is a class
        for field, text in itertools.pairwise(body.body):
            named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id == name
            if named and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                return " ".join(str(text.value.value).split())
    return ""
