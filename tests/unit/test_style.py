"""What the linters do not say of our own house rules."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gpuwarden", "exporter", "alerts", "dashboards")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 40


def functions(path):
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    """A developer would have to read a thousand lines to mend one."""
    assert len(path.read_text().splitlines()) <= MOST_LINES
    for node in functions(path):
        first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
        assert node.end_lineno - first.lineno < MOST_LINES_OF_A_FUNCTION, node.name


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_test_says_in_a_sentence_what_a_user_loses(path):
    """Nobody would know whether a failing test matters."""
    for node in functions(path):
        if node.name.startswith("test_"):
            text = ast.get_docstring(node) or ""
            assert re.fullmatch(r"[^\n]+\.", " ".join(text.split())), f"{path.name}: {node.name}"
