"""``gpuwarden up`` over an exporter that asks for TLS and a password."""

import os
import signal

import psutil

from tests.e2e.running import Running, run, write
from tests.e2e.secure import PASSWORD, Secrets
from tests.e2e.test_alertmanager import free_port
from tests.polling import wait_until

ALICE = ("alice", PASSWORD)


def settings(secrets, port, scrape):
    """A settings file of an exporter that asks for both, and what its alerter is told."""
    lines = f"""
exporter:
  listen: 127.0.0.1:{port}
  web_config: {secrets.folder}/web.yml
  interval: 200ms
  demo: true
alerter:
  listen: 127.0.0.1:0
  interval: 200ms
{scrape}
"""
    return write(secrets.folder / "gpuwarden.yml", lines)


def test_up_runs_with_tls_and_a_password(tmp_path):
    """Who protects the page would lose the supervisor, the status line and the mails."""
    secrets, port = Secrets(tmp_path), free_port()
    secrets.config()
    write(tmp_path / "password", f"{PASSWORD}\n")
    scrape = f"""
  targets: ["https://localhost:{port}/metrics"]
  scrape: {{ca_file: {tmp_path}/ca.pem, username: alice, password_file: {tmp_path}/password}}
"""
    settings(secrets, port, scrape)
    with Running("up", "--state", str(tmp_path / "state"), home=tmp_path) as process:
        url = process.wait_for(r"open (https://\S+)").group(1)
        process.wait_for(r"(?m)4 of 4 simulated GPUs answer[^\n]*\| nothing fires$")
        answers = [secrets.get(url, auth=ALICE).status_code, secrets.get(url, "/-/ready").status_code]
        process.process.send_signal(signal.SIGINT)
        assert process.process.wait(20) == 0

    assert answers == [200, 401]
    assert PASSWORD not in process.output


def test_up_says_what_to_set_where_its_alerter_has_no_key(tmp_path):
    """The alerter would run beside a page that it cannot read, and mail that the exporter is gone."""
    secrets, port = Secrets(tmp_path), free_port()
    secrets.config()
    settings(secrets, port, "")
    ended = run("up", "--state", str(tmp_path / "state"), home=tmp_path)

    assert ended.returncode == 2
    for word in ("alerter.targets", "alerter.scrape.ca_file", "password_file"):
        assert word in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_mistake_that_a_child_finds_ends_with_status_2(tmp_path):
    """Systemd would start the same mistake again for ever, and take the exporter down each time."""
    rules = write(tmp_path / "rules.yml", "rules:\n  - {override: GpuMemoryAlmostFull, above: 90}\n")
    environ = {"GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0", "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0"}
    ended = run(
        "up", "--demo", "--rules", str(rules), "--state", str(tmp_path / "state"), home=tmp_path, environ=environ
    )

    assert ended.returncode == 2
    assert "rules.yml:2: rules[0].above" in ended.stderr


def test_a_child_that_hangs_is_seen(tmp_path):
    """The status line would show the last good words of a process that is stuck."""
    environ = {"GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0", "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0"}
    with Running("up", "--demo", "--state", str(tmp_path / "state"), home=tmp_path, environ=environ) as process:
        process.wait_for("4 of 4 simulated GPUs answer")
        exporter = psutil.Process(process.process.pid).children()[0].pid
        os.kill(exporter, signal.SIGSTOP)
        process.wait_for(r"does not answer \|")
        os.kill(exporter, signal.SIGCONT)
        process.wait_for(r"(?s)does not answer \|.*\n4 of 4 simulated GPUs answer")


def test_a_reload_right_after_the_start_ends_nothing(tmp_path):
    """`systemctl restart` and `reload` in a row would leave the box without alerts."""
    environ = {"GPUWARDEN_EXPORTER_LISTEN": "127.0.0.1:0", "GPUWARDEN_ALERTER_LISTEN": "127.0.0.1:0"}
    with Running("up", "--demo", "--state", str(tmp_path / "state"), home=tmp_path, environ=environ) as process:
        own = psutil.Process(process.process.pid)
        wait_until(lambda: len(own.children()) == 2, 20, "no children")
        process.process.send_signal(signal.SIGHUP)
        process.wait_for(r"reloaded \d+ rules")
        process.wait_for(r"simulated GPUs answer[^\n]*\| ")
        assert process.output.count("reloaded") == 1
