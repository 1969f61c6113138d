import os
import pathlib
import stat
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from alerts.alertmanager_config import DEFAULT_WEBHOOK, alertmanager_config
from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules
from gpuwarden.cli import main

RULES = "rules: [{override: GpuMemoryAlmostFull, above: 0.97, clear: 0.9}]\n"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def generate(*words):
    return CliRunner().invoke(main, ["generate", *map(str, words)])


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def memory_threshold(folder):
    alerts = yaml.safe_load((folder / "prometheus/gpuwarden.rules.yml").read_text("utf-8"))["groups"][0]["rules"]
    return next(alert for alert in alerts if alert["alert"] == "GpuMemoryAlmostFull")["expr"].splitlines()[0]


def test_every_reader_gets_its_file(tmp_path):
    """Prometheus, Alertmanager or Grafana starts without what it should read."""
    result = generate("--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = files_below(tmp_path / "out")
    assert found["prometheus/gpuwarden.rules.yml"] == rule_file(load_rules(SHIPPED, []))
    assert found["alertmanager/alertmanager.yml"] == alertmanager_config(DEFAULT_WEBHOOK, None, load_rules(SHIPPED, []))
    assert any(name.startswith("grafana/dashboards/") and name.endswith(".json") for name in found)
    assert result.output.splitlines() == [f"wrote {tmp_path / 'out' / name}" for name in sorted(found, key=order)]


def test_alertmanager_posts_as_often_as_somebody_is_told_again(tmp_path):
    """A reminder that a user asks for every hour comes every four, since nothing is posted before."""
    (tmp_path / "gpuwarden.yml").write_text("alerter: {notify: {repeat: {warning: 1h}}}\n")
    assert generate("--out", tmp_path / "out").exit_code == 0
    config = yaml.safe_load((tmp_path / "out/alertmanager/alertmanager.yml").read_text("utf-8"))
    assert config["route"]["repeat_interval"] == "1h"


def order(name):
    return ["prometheus", "alertmanager", "grafana"].index(name.split("/", maxsplit=1)[0]), name


def test_a_users_threshold_reaches_rule_and_panels(tmp_path):
    """Mail and wall show the shipped threshold while the user's own file says another."""
    (tmp_path / "mine.yml").write_text(RULES)
    plain, mine = tmp_path / "plain", tmp_path / "mine"
    assert generate("--out", plain).exit_code == 0
    assert generate("--out", mine, "--rules", tmp_path / "mine.yml").exit_code == 0
    assert memory_threshold(mine) == "gpu_memory_used_ratio > 0.97"
    changed = {name for name, text in files_below(mine).items() if text != files_below(plain)[name]}
    assert "grafana/dashboards/wall.json" in changed


def test_rules_files_of_the_settings_count_too(tmp_path, monkeypatch):
    """The stack's alerter and its Prometheus judge different rules."""
    (tmp_path / "mine.yml").write_text(RULES)
    (tmp_path / "settings.yml").write_text("alerter: {rules: [mine.yml]}")
    assert generate("--config", "settings.yml", "--out", "out").exit_code == 0
    assert memory_threshold(tmp_path / "out") == "gpu_memory_used_ratio > 0.97"
    monkeypatch.setenv("GPUWARDEN_ALERTER_RULES", "mine.yml")
    assert generate("--out", "out2").exit_code == 0
    assert memory_threshold(tmp_path / "out2") == "gpu_memory_used_ratio > 0.97"


def test_a_wrong_rule_changes_nothing(tmp_path):
    """One mistake in a rules file leaves half of the stack on the new rules."""
    out = tmp_path / "out"
    assert generate("--out", out).exit_code == 0
    before = files_below(out)
    (tmp_path / "wrong.yml").write_text("rules:\n- override: GpuLos\n- {override: GpuLost, above: much}\n")
    result = generate("--out", out, "--rules", tmp_path / "wrong.yml")
    assert result.exit_code == 2
    assert "wrong.yml:2" in result.stderr
    assert "wrong.yml:3" in result.stderr
    assert files_below(out) == before
    assert generate("--out", tmp_path / "new", "--rules", tmp_path / "wrong.yml").exit_code == 2
    assert not (tmp_path / "new").exists()


def test_other_users_can_read_the_files(tmp_path):
    """Prometheus runs as its own user and finds its rules locked, depending on the umask of whoever started."""
    command = [sys.executable, "-m", "gpuwarden", "generate", "--out", "deep/out"]
    subprocess.run(command, check=True, capture_output=True, umask=0o077, timeout=60)
    for path in (tmp_path / "deep").rglob("*"):
        expected = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_check_tells_what_differs_and_writes_nothing(tmp_path):
    """A committed rule file is older than the rules, and nobody notices."""
    out = tmp_path / "out"
    missing = generate("--check", "--out", out)
    assert (missing.exit_code, out.exists()) == (1, False)
    assert f"{out}/prometheus/gpuwarden.rules.yml is missing" in missing.stderr
    generate("--out", out)
    assert generate("--check", "--out", out).exit_code == 0
    rules = out / "prometheus" / "gpuwarden.rules.yml"
    rules.write_text("groups: []\n")
    differs = generate("--check", "--out", out)
    assert (differs.exit_code, differs.stderr) == (1, f"{rules} differs\n")
    assert rules.read_text() == "groups: []\n"


def test_the_users_own_files_stay(tmp_path):
    """A dashboard that a user put beside ours is gone after the next start."""
    own = tmp_path / "out" / "grafana" / "dashboards" / "mine.json"
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    assert generate("--out", tmp_path / "out").exit_code == 0
    assert generate("--out", tmp_path / "out").exit_code == 0
    assert own.read_text() == "{}"
    assert not list((tmp_path / "out").rglob(".*"))


def test_what_cannot_be_written_is_named(tmp_path):
    """The stack does not start, and its log shows a traceback."""
    (tmp_path / "out").write_text("a file")
    result = generate("--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "gpuwarden.rules.yml cannot be written: File exists" in result.stderr
    assert generate("--check", "--out", tmp_path / "out").exit_code == 1


def test_the_webhook_is_where_the_alerter_is(tmp_path):
    """Alertmanager posts to nobody, or without the secret that the alerter asks for."""
    out = tmp_path / "out"
    words = ["--webhook", "http://box:9401/webhook", "--webhook-secret-file", "/run/secrets/hook"]
    assert generate("--out", out, *words).exit_code == 0
    text = (out / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    assert text == alertmanager_config("http://box:9401/webhook", "/run/secrets/hook", load_rules(SHIPPED, []))
    refused = generate("--out", out, "--webhook", "box:9401")
    assert refused.exit_code == 2
    assert "not an http or https URL" in refused.stderr


def test_a_reader_sees_a_whole_file(tmp_path):
    """Prometheus reloads while half of its rules are written."""
    out = tmp_path / "out"
    generate("--out", out)
    path = out / "prometheus" / "gpuwarden.rules.yml"
    with path.open("rb") as reader:
        generate("--out", out)
        assert os.fstat(reader.fileno()).st_ino != path.stat().st_ino
        assert pathlib.Path(path).read_bytes() == reader.read()
