"""What the packages import is what an installation brings."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gpuwarden", "exporter", "alerts", "dashboards")
USERS_OWN = {"torch"}
"""Only run by the interpreter in which a user has it."""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def plain(name):
    return re.split(r"[^\w.-]", name, maxsplit=1)[0].lower().replace("_", "-")


def test_every_import_is_a_dependency():
    """The exporter would end in a traceback on every machine but a developer's, where the tests brought the package."""
    found = {name for package in PACKAGES for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    foreign = found - set(sys.stdlib_module_names) - set(PACKAGES) - USERS_OWN
    stated = {plain(name) for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]}
    providers = importlib.metadata.packages_distributions()

    missing = {name for name in foreign if not stated & {plain(provider) for provider in providers.get(name, [name])}}
    assert missing == set()
