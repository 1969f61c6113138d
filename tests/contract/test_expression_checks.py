"""What Prometheus cannot read is found before a file with it is written, in the words of its own promtool."""

import pytest
from click.testing import CliRunner

from alerts.promtool import PromtoolError, refused
from gpuwarden.cli import main
from tests.contract.rules_in_promtool import tool

pytestmark = pytest.mark.prometheus

UNFINISHED = """\
rules:
  - {alert: Fine, expr: "up == 0", severity: info, summary: s}
  - alert: Unfinished
    severity: info
    expr: up == 0 or
    summary: s
  - {alert: Resting, expr: "sum(up) ^", enabled: false, severity: info, summary: s}
"""


@pytest.fixture(params=["promtool", "promtool3"])
def promtool(request, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "promtool").symlink_to(tool(request.param))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    path = tmp_path / "mine.yml"
    path.write_text(UNFINISHED, encoding="utf-8")
    return path


def test_each_refused_expression_is_named_at_its_line(promtool, file):
    """Somebody learns from a Prometheus that does not start which of forty rules is wrong."""
    result = CliRunner().invoke(main, ["rules", "check", str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    unfinished, resting = result.stderr.splitlines()
    said = "Prometheus cannot read this: 1:11: parse error: unexpected end of input"
    assert unfinished == f"{file}:5: rules[1].expr: {said}"
    assert resting.startswith(f"{file}:7: rules[2].expr: Prometheus cannot read this: ")


def test_nothing_is_written_that_prometheus_refuses(promtool, file, tmp_path):
    """The rules of a running Prometheus are replaced by a file that it cannot load, and nothing alerts any more."""
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["generate", "--rules", str(file), "--out", str(out)])
    assert result.exit_code == 2
    assert f"{file}:5: rules[1].expr" in result.output
    assert f"{file}:7" not in result.output, "what is switched off is not in the file"
    assert not out.exists()
    file.write_text(file.read_text().replace("up == 0 or", "up == 0 or up == 2"))
    result = CliRunner().invoke(main, ["generate", "--rules", str(file), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "up == 0 or up == 2" in (out / "prometheus/gpuwarden.rules.yml").read_text()


def test_any_text_reaches_promtool_as_it_is(promtool):
    """A right expression is refused, or a wrong one taken, because it was written into a file in another way."""
    right = ['up{a="é显\\u2028"} == 0', "up\n  == 0 # why: it\n  and up", 'absent(x{a="{{ y }}: \\x01 \U0001f600"})']
    assert refused([*right, "up ==\n  0 )"]).keys() == {3}
    assert refused(["", *right]).keys() == {0}


def test_a_promtool_that_says_something_else_is_no_check(tmp_path, monkeypatch):
    """A broken promtool passes every expression."""
    broken = tmp_path / "promtool"
    broken.write_text("#!/bin/sh\necho cannot start >&2; exit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(PromtoolError, match="ended with 3: cannot start"):
        refused(["up"])
