import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_pages_are_those_of_the_code():
    """A user would read about metrics, rules and settings that do not exist."""
    checked = subprocess.run(
        [sys.executable, "docs/remake.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_setting_says_what_it_means():
    """A user would find a key without a word about it."""
    rows = re.findall(r"^\| `(\S+)` \| .* \| (.*) \|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)

    assert len(rows) > 10
    assert [key for key, meaning in rows if not meaning] == []


def test_the_readme_names_only_what_is_there():
    """A new user would follow a link or a command into nothing."""
    readme = (ROOT / "README.md").read_text()
    targets = {
        line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if re.match(r"[a-z-]+:", line)
    }

    for link in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link
    for target in re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE):
        assert target in targets, target
    commands = set(re.findall(r"gpuwarden (up|exporter|alerter|rules|mail|state|config|generate)\b", readme))
    helped = subprocess.run(
        [sys.executable, "-m", "gpuwarden", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert commands <= set(re.findall(r"^  (\w+) ", helped.stdout, re.MULTILINE))
