import pytest
from click.testing import CliRunner

from gpuwarden.cli import main
from gpuwarden.cli_config import hidden


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder without settings of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_config_shows_what_is_in_force_and_where_it_was_written(run, tmp_path, monkeypatch):
    """A user could not find out why a setting does not take effect."""
    (tmp_path / "gpuwarden.yml").write_text("alerter:\n  interval: 10s\n  mail: {port: 25}\n")
    monkeypatch.setenv("GPUWARDEN_EXPORTER_LISTEN", ":9999")

    lines = run("config").output.splitlines()

    assert "alerter.interval: 10s  # gpuwarden.yml:2" in lines
    assert "exporter.listen: :9999  # GPUWARDEN_EXPORTER_LISTEN" in lines
    assert "alerter.mail.port: 25  # gpuwarden.yml:3" in lines
    assert "exporter.interval: 1s  # default" in lines


def test_config_hides_passwords_in_urls(run, tmp_path):
    """A pasted configuration would give a password away."""
    (tmp_path / "gpuwarden.yml").write_text("alerter: {targets: ['http://ann:s3s@me@box:9400/metrics']}\n")

    output = run("config").output

    assert "http://***@box:9400/metrics" in output
    assert "s3s" not in output
    assert "me@box" not in output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:s3cr/et@host:9401", "http://***@host:9401"),
        ("me:s3cret@host:9401", "***@host:9401"),
        ("gpuwarden <me@example.com>", "gpuwarden <me@example.com>"),
        ("me@example.com", "me@example.com"),
        ("127.0.0.1:9400", "127.0.0.1:9400"),
    ],
)
def test_what_is_hidden_is_a_login_and_nothing_else(text, shown):
    """A mistyped URL would give its password away, or a mail address would be unreadable."""
    assert hidden(text) == shown


@pytest.mark.parametrize("command", ["config", "exporter", "alerter", "up"])
def test_wrong_settings_end_with_status_2_and_every_mistake(run, tmp_path, command):
    """A user would mend settings one start at a time, and a script would not notice."""
    (tmp_path / "gpuwarden.yml").write_text(
        "exporter: {intervall: 1s, listen: nowhere}\nalerter: {interval: 5, mail: {host: x}}\n"
    )

    result = run(command)

    assert result.exit_code == 2
    assert "gpuwarden.yml:" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("alerter: {listen: x}", "alerter.listen: 'x' is not HOST:PORT"),
        ("alerter: {interval: 1h}", "alerter.interval: must be from 100ms to 5m"),
        ("alerter: {targets: []}", "alerter.targets: there is nothing to watch"),
        ("alerter: {targets: [ftp://x]}", "alerter.targets: is not an http or https URL"),
        ("alerter: {targets: ['http://a:1/x', 'http://a:1/y']}", "alerter.targets: a:1 is given twice"),
        ("exporter: {interval: 1ms}", "exporter.interval: must be from 100ms to 1m"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_key(run, tmp_path, setting, message):
    """A value out of range would fail later, far from its cause."""
    (tmp_path / "gpuwarden.yml").write_text(setting)

    result = run("config")

    assert result.exit_code == 2
    assert message in result.output


def test_a_misspelt_command_names_the_nearest(run):
    """A user would read the whole help for a typing mistake."""
    result = run("exportr")

    assert result.exit_code == 2
    assert "did you mean 'exporter'?" in result.output
