import pytest
from click.testing import CliRunner

from gpuwarden.cli import main

FILE = """\
alerter:
  mail: {host: smtp.example.com, from: a@example.com, to: [me@example.com]}
  routes:
    - {where: {severity: critical}, to: [night@example.com], continue: true}
    - {where: {alertname: "=~GpuMemory.*", gpu: "1"}, to: [team@example.com]}
    - {where: {alertname: GpuHot}, to: [hot@example.com]}
"""


@pytest.fixture(autouse=True)
def _settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "gpuwarden.yml").write_text(FILE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GpuMemoryAlmostFull", 'night@example.com; team@example.com where gpu="1"; again after 4 h'),
        ("GpuMemoryHigh", 'team@example.com where gpu="1"; else me@example.com; again after 1 d'),
        ("HostMemoryAlmostFull", "tells night@example.com; again after 4 h"),
        ("GpuXidDriver", "tells me@example.com; again after 1 d"),
    ],
)
def test_explain_says_whom_a_rule_tells(name, words):
    """Whether the mail about a full card will wake the right person is found out when it is full."""
    result = CliRunner().invoke(main, ["rules", "explain", name])
    assert result.exit_code == 0, result.output
    assert words in " ".join(result.output.split())
