import asyncio
import json
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from alerts.outbox import Outbox
from alerts.outbox_control import ask, serve_control
from alerts.store import Store
from alerts.transport import Reply
from gpuwarden.cli import main
from tests.golden.example_mails import FIRING
from tests.polling import wait_until
from tests.unit.outbox_post import Post, add

NOW = FIRING.at


@pytest.fixture
def state(tmp_path):
    """A state with one dead letter (1), one that waits (2) and one that was accepted (3)."""
    folder = tmp_path / "state"
    with Store.open(folder) as store:
        add(store, "gone@example.com", "ann@example.com", "bob@example.com")
        store.dead(store.claim(NOW), "refused", "the server answered 550 no such user", NOW)
        store.deferred(store.claim(NOW), "deferred", "the server answered 451 later\x1b[31m", NOW + 600)
        store.accepted(store.claim(NOW), Reply(250, "ok"), NOW)
    return folder


def run(*arguments, state, status=0):
    result = CliRunner().invoke(main, ["outbox", arguments[0], "--state", str(state), *arguments[1:]])
    assert result.exit_code == status, result.output
    return result.output


@contextmanager
def alerter(folder, post):
    """The part of an alerter that owns the outbox, at work in another thread."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def work():
        with Store.open(folder) as store:
            outbox = Outbox(store, post, clock=lambda: NOW + 60)
            tasks = [asyncio.create_task(outbox.run()), asyncio.create_task(serve_control(folder, outbox))]
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        wait_until((folder / "alerter.sock").is_socket, 10, "nobody answers at the socket")
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def states(folder):
    with sqlite3.connect(folder / "alerter.sqlite3") as connection:
        return dict(connection.execute("SELECT id, state FROM deliveries").fetchall())


def test_list_names_what_waits_and_what_was_given_up(state):
    """Without it nobody would see which alert somebody did not get, and why."""
    output = run("list", state=state)
    head, *rows = output.splitlines()
    assert head.split()[:4] == ["ID", "AGE", "STATE", "TRIES"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert "refused: the server answered 550 no such user" in rows[0]
    assert "\x1b" not in output
    assert "bob@example.com" not in output
    assert len(run("list", "--dead", state=state).splitlines()) == 2


def test_list_is_json_for_scripts(state):
    """Without it a script would have to take a table apart."""
    dead, waiting = json.loads(run("list", "--json", state=state))
    assert (dead["id"], dead["state"], dead["outcome"]) == (1, "dead", "refused")
    assert (waiting["state"], waiting["recipient"]) == ("waiting", "ann@example.com")


def test_show_tells_of_all_recipients(state):
    """Without it nobody could tell whether anybody else got the alert."""
    output = run("show", "1", state=state)
    assert "accepted" in output
    assert "550 no such user" in output
    assert FIRING.summary in output
    raw = CliRunner().invoke(main, ["outbox", "show", "--state", str(state), "--eml", "1"]).stdout_bytes
    with Store.open(state) as store:
        assert raw == store.claim(NOW + 600).letter.data
    assert "there is no mail 99" in run("show", "99", state=state, status=2)


def test_list_reads_while_the_alerter_works(state):
    """Without it the outbox could only be looked at while nothing is delivered."""
    with alerter(state, Post({"ann@example.com": "deferred"})):
        assert "550 no such user" in run("list", state=state)


def test_retry_reaches_the_alerter_at_work(state):
    """Without it a mail that was refused for a mended reason would need a restart, or stay dead."""
    post = Post()
    with alerter(state, post):
        assert run("retry", "--dead", state=state) == "1 mail due now\n"
        wait_until(lambda: states(state)[1] == "accepted", 10, "the dead letter was not sent")
        assert run("retry", "2", state=state) == "1 mail due now\n"
        wait_until(lambda: states(state)[2] == "accepted", 10, "what waited was not sent")
    assert [letter.recipient for letter in post.asked] == ["gone@example.com", "ann@example.com"]


def test_retry_and_drop_work_without_an_alerter(state):
    """Without it a stopped alerter could not be cleaned up before it starts again."""
    run("retry", "1", state=state)
    assert states(state)[1] == "queued"
    run("drop", "--yes", "1", "2", state=state)
    assert states(state) == {3: "accepted"}


def test_what_a_killed_alerter_was_sending_can_be_dropped(state):
    """Without it a crash would leave a mail that nobody can take out before the next start sends it."""
    with Store.open(state) as store:
        assert store.claim(NOW + 600).id == 2
    run("drop", "--yes", "2", state=state)
    assert states(state) == {1: "dead", 3: "accepted"}


def test_a_retried_dead_letter_has_all_its_time_again(state):
    """Without it an expired mail would be given up again at its first failure."""
    ask(state, "retry", None)
    with Store.open(state) as store:
        claimed = [store.claim(time.time()) for _ in range(2)]
    delivery = next(one for one in claimed if one.id == 1)
    assert delivery.attempts == 1
    assert delivery.queued_at > NOW


@pytest.mark.parametrize("action", [["retry"], ["drop", "--yes"]])
def test_what_cannot_be_changed_is_said(state, action):
    """Without it a person would believe that an accepted mail is sent again."""
    assert "mail 3 was accepted; nothing was changed" in run(*action, "1", "3", state=state, status=1)
    assert "mail 9 is not in the outbox" in run(*action, "9", state=state, status=1)
    assert "give either ids" in run(*action, state=state, status=2)
    assert "give either ids" in run(*action, "1", "--dead", state=state, status=2)
    assert states(state)[1] == "dead"
    with alerter(state, Post({"ann@example.com": "deferred"})):
        assert "mail 3 was accepted; nothing was changed" in run(*action, "3", state=state, status=1)


def test_drop_asks_first(state):
    """Without it a slip of the finger would take an alert from somebody."""
    assert "--yes" in run("drop", "1", state=state, status=2)
    assert states(state)[1] == "dead"


def test_dropping_lets_the_thread_go_on(state):
    """Without it the mail about the end would wait for one that nobody wants."""
    ask(state, "drop", None)
    assert 1 not in states(state)
    with alerter(state, Post({"ann@example.com": "deferred"})):
        assert ask(state, "drop", [2]) == 1
    assert states(state) == {3: "accepted"}


def test_no_state_is_said_plainly(tmp_path):
    """Without it a mistyped folder would look like an empty outbox."""
    assert "no alerter has run with it yet" in run("list", state=tmp_path / "nowhere", status=1)


def test_a_socket_that_was_left_behind_is_in_nobodys_way(state):
    """Without it an alerter that was killed would leave an outbox that cannot be changed."""
    with alerter(state, Post({"ann@example.com": "deferred"})):
        pass
    (state / "alerter.sock").touch()
    with alerter(state, Post({"ann@example.com": "deferred"})):
        assert ask(state, "retry", [2]) == 1


def test_garbage_at_the_socket_changes_nothing(state):
    """Without it a stray program could drop an alert, or end the alerter."""
    from alerts.outbox_control import _answer

    class Untouched:
        retry = drop = None

    for line in (b"", b"[]", b"{}", b'{"do": "drop", "ids": ["1; DROP"]}', b'{"do": "eat", "ids": null}', b"\xff"):
        assert "error" in asyncio.run(_answer(line, Untouched()))
