import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.command import CommandTransport, reason_of_exit
from alerts.command_settings import CommandSettings
from alerts.programs import environment
from alerts.transport import Letter, SendError, SendTimeoutError
from tests.polling import wait_until

LETTER = Letter("<a.first@example.com>", "a@example.com", "command:push", b"mail", b'{"subject": "GPU 2 is full"}\n')


def command(program, folder, *, timeout=20.0, environ=None, letter=LETTER):
    """Tell one Python program; its reply."""
    settings = CommandSettings("push", (sys.executable, "-c", program), timeout)
    return asyncio.run(CommandTransport(settings, folder, environ).send(letter))


def failure(program, folder, **changes):
    with pytest.raises(SendError) as caught:
        command(program, folder, **changes)
    return caught.value


def is_gone(pid):
    """Whether a process has ended; one that nobody has waited for yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_gets_the_payload_in_the_state_folder(tmp_path):
    """Without it a phone would buzz about nothing."""
    reply = command("import sys, os; print(sys.stdin.read().strip(), os.getcwd())", tmp_path)
    assert str(reply) == f'exit status 0: {{"subject": "GPU 2 is full"}} {tmp_path}'


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(75)", "deferred"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "deferred"),
        ("raise SystemExit(1)", "refused"),
        ("raise SystemExit(64)", "refused"),
        ("raise SystemExit(126)", "misconfigured"),
        ("raise SystemExit(127)", "misconfigured"),
    ],
)
def test_every_exit_status_has_its_reason(tmp_path, program, reason):
    """Without it a push service that is away would cost the alert, or a refused one be asked for days."""
    assert failure(program, tmp_path).reason == reason


def test_its_words_are_kept_on_one_line(tmp_path):
    """Without it nobody would learn why the push service refused."""
    error = failure("import sys; print('no such\\ntopic \\x1b[31m'); sys.stderr.write('401'); sys.exit(1)", tmp_path)
    assert "ended with exit status 1: " in str(error)
    assert "no such topic [31m" in str(error)
    assert "401" in str(error)


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    """Without it one hanging curl would hold up every later push, and each alert leave a process behind."""
    program = (
        "import subprocess, sys, time; sleep = 'import time; time.sleep(600)';"
        " child = subprocess.Popen([sys.executable, '-c', sleep]);"
        " open('pid', 'w').write(str(child.pid)); print('waiting', flush=True); time.sleep(600)"
    )
    settings = CommandSettings("push", (sys.executable, "-c", program), 20.0)

    async def story():
        transport = CommandTransport(settings, tmp_path)
        sending = asyncio.create_task(transport.send(LETTER))
        await asyncio.to_thread(wait_until, (tmp_path / "pid").exists, 15, "the command did not start")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(story())
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(child), 10, "its child lives on")
    error = failure("import time; print('waiting', flush=True); time.sleep(600)", tmp_path, timeout=1.5)
    assert isinstance(error, SendTimeoutError)
    assert error.reason == "timeout"
    assert "killed after 1.5 s" in str(error)


def test_what_it_leaves_behind_is_killed(tmp_path):
    """Without it every alert could leave a process on the machine until nothing starts any more."""
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        " open('pid', 'w').write(str(child.pid))"
    )
    assert command(program, tmp_path).code == 0
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(child), 10, "what it left behind lives on")


def test_it_sees_no_secret_of_ours(tmp_path):
    """Without it every push script would be handed the mail password's place and the tokens of the service."""
    given = {**os.environ, "GPUWARDEN_ALERTER_MAIL_PASSWORD_FILE": "x", "API_TOKEN": "y", "LC_ALL": "C.UTF-8"}
    reply = command("import os; print(*sorted(os.environ))", tmp_path, environ=given)
    assert "GPUWARDEN" not in reply.text
    assert "API_TOKEN" not in reply.text
    assert set(environment(given)) >= {"PATH", "LC_ALL"}


def test_a_flood_of_words_blocks_nothing(tmp_path):
    """Without it a command that talks much would hang on a full pipe, or fill our memory."""
    reply = command("import sys; sys.stdout.write('x' * 5_000_000)", tmp_path)
    assert len(reply.text) < 600


def test_a_command_may_ignore_its_input(tmp_path):
    """Without it a bell that reads nothing would count as broken."""
    big = replace(LETTER, payload=json.dumps("x" * 2_000_000).encode())
    assert command("pass", tmp_path, letter=big).code == 0


def test_a_missing_program_is_a_fault_of_the_settings(tmp_path):
    """Without it a typing error in a path would turn every alert into a dead letter."""
    settings = CommandSettings("push", ("/does/not/exist",))
    with pytest.raises(SendError) as caught:
        asyncio.run(CommandTransport(settings, tmp_path).send(LETTER))
    assert caught.value.reason == "misconfigured"
    assert "/does/not/exist cannot be run" in str(caught.value)


def test_the_table_of_exit_statuses_is_total():
    """Without it an odd status would be neither kept nor given up."""
    assert {reason_of_exit(status) for status in range(-64, 256)} == {
        "accepted",
        "deferred",
        "misconfigured",
        "refused",
    }


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"name": "a b"}, "name"), ({"name": ""}, "name"), ({"run": ()}, "run"), ({"timeout": 0.0}, "timeout")],
)
def test_settings_of_a_command_are_checked(changes, key):
    """Without it a mistake in the settings would be found at the first alert."""
    settings = replace(CommandSettings("push", ("/bin/true",)), **changes)
    assert [found for found, _, _ in settings.problems()] == [key]
