import json
import time

from tests.e2e.running import CLIENT, alerter, run, wait_until, write
from tests.fakes.alertmanager_posts import payload, posted
from tests.fakes.smtp.server import SmtpServer

NOBODY = "http://127.0.0.1:1"
COMMAND = """\
#!/bin/sh
# Takes what it is told, unless the file "broken" is there.
if [ -e broken ]; then echo "no such topic"; exit 1; fi
cat >> told
echo thanks
"""


def settings(home, smtp):
    write(home / "push", COMMAND).chmod(0o755)
    return write(
        home / "gpuwarden.yml",
        f"""\
alerter:
  judge: alertmanager
  state: {home}/state
  mail: {{host: 127.0.0.1, port: {smtp.port}, security: none, from: a@example.com, to: [ann@example.com]}}
  commands:
    - {{name: push, run: [{home}/push], default: true}}
""",
    )


def listed(home):
    return json.loads(run("outbox", "list", "--json", home=home).stdout)


def test_a_command_is_told_and_the_outbox_looked_at_while_the_alerter_works(tmp_path):
    """A phone would stay silent, or nobody could mend what was given up without stopping the alerter."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "broken").touch()
    with SmtpServer(tmp_path / "smtp") as smtp:
        settings(tmp_path, smtp)
        with alerter(tmp_path, NOBODY) as judge:
            body = payload(posted(start=time.time() - 5))
            posted_at = {"content-type": "application/json"}
            assert CLIENT.post(f"{judge.url}/webhook", content=body, headers=posted_at).status_code == 200
            smtp.wait_mails(1, 20)
            wait_until(lambda: listed(tmp_path)[0]["state"] == "dead", 20, "the refused push is not given up")
            (row,) = listed(tmp_path)
            assert (row["recipient"], row["outcome"]) == ("command:push", "refused")
            assert "ended with exit status 1: no such topic" in run("outbox", "list", "--dead", home=tmp_path).stdout
            assert "1 mails are given up" in CLIENT.get(f"{judge.url}/status").text

            (state / "broken").unlink()
            done = run("outbox", "retry", "--dead", home=tmp_path)
            assert (done.returncode, done.stdout) == (0, "1 mail due now\n")
            wait_until((state / "told").exists, 20, "the command was not told")
            wait_until(lambda: not listed(tmp_path), 20, "the outbox is not empty")
        told = json.loads((state / "told").read_text())
    assert told["subject"].startswith("[CRITICAL]")
    assert "GPU 0 memory is 95.0 % full" in told["text"]
    assert told["labels"]["uuid"] == "GPU-a"
    assert len(smtp.mails()) == 1
    assert "nothing waits" in run("outbox", "list", home=tmp_path).stdout
