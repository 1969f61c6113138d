import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from alerts.outcome_words import MEANINGS
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlerterSettings
from alerts.transport import Outcome
from exporter.settings import ExporterSettings
from gpuwarden import settings

ROOT = Path(__file__).parents[2]
PASSWORD = "    username: me@example.com\n    password_file: /etc/gpuwarden/smtp_password\n"


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
    known = "up|exporter|alerter|rules|mail|outbox|silence|state|config|generate|bench"
    commands = set(re.findall(rf"gpuwarden ({known})\b", readme))
    helped = subprocess.run(
        [sys.executable, "-m", "gpuwarden", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert commands <= set(re.findall(r"^  (\w+) ", helped.stdout, re.MULTILINE))


def test_the_settings_on_the_page_about_mail_are_right(tmp_path):
    """A user would copy an example that is refused."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "mail.md").read_text(), re.DOTALL)
    server, token, fallback, command = blocks
    for number, text in enumerate((server, server.replace(PASSWORD, token), server + fallback, command)):
        file = tmp_path / f"{number}.yml"
        file.write_text(text.replace("    username: me@example.com\n    username", "    username"))
        settings.load("alerter", AlerterSettings, config=file, environ={})


def test_every_outcome_is_on_the_page_about_mail():
    """A user would read a word in the log that nobody explains."""
    assert set(MEANINGS) == set(get_args(Outcome))
    text = (ROOT / "docs" / "mail.md").read_text()
    assert all(f"| `{outcome}` |" in text for outcome in MEANINGS)


def test_the_settings_and_rules_on_the_page_about_slow_cards_are_right(tmp_path):
    """A user would copy an example that is refused, and never be told of a card that became slower."""
    probe, number, history = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "slower.md").read_text(), re.DOTALL)
    for name, text in (("probe", probe), ("number", number), ("history", history)):
        (tmp_path / f"{name}.yml").write_text(text)

    loaded = settings.load("exporter", ExporterSettings, config=tmp_path / "probe.yml", environ={}).values
    assert loaded.probe.enabled
    rules = load_rules(SHIPPED, [tmp_path / "number.yml", tmp_path / "history.yml"])
    assert {"ModelProbeSlow", "CardBecameSlower"} <= {rule.alert for rule in rules}
