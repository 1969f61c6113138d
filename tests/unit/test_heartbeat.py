import asyncio
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alerts import heartbeat as module
from alerts.heartbeat import Heartbeat, Reason, call, withheld
from alerts.heartbeat_settings import HeartbeatSettings
from alerts.settings import AlerterSettings
from gpuwarden.documents import DocumentError
from gpuwarden.settings import load
from gpuwarden.units import Duration
from tests.e2e.running import run, write
from tests.in_force import in_force

WELL = {"undecided": "", "uncomposed": "", "misconfigured": False, "oldest_waiting_at": None, "now": 1e9, "longest": 60}
SECRET = "1f3c-not-to-be-seen"


@contextlib.contextmanager
def called(status: int = 200, hang: threading.Event | None = None, location: str = "") -> Iterator[tuple[str, list]]:
    """A service that answers ``status``; its URL and the calls that came."""
    calls = []

    class Service(BaseHTTPRequestHandler):
        def answer(self):
            calls.append((self.command, self.path))
            if hang:
                hang.wait(20)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = answer  # noqa: N815 -- http.server's names

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/ping/{SECRET}", calls
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        ({"undecided": "no round for 30 s"}, "not_deciding"),
        ({"uncomposed": "disk full"}, "not_composing"),
        ({"misconfigured": True}, "mail_misconfigured"),
        ({"oldest_waiting_at": 1e9 - 60.1}, "mail_stuck"),
    ],
)
def test_whatever_keeps_an_alert_from_somebody_stops_the_beats(trouble, outcome):
    """The one who watches the watchman would be told that all is well."""
    assert withheld(**WELL | trouble).outcome == outcome


@pytest.mark.parametrize("fine", [{}, {"oldest_waiting_at": 1e9 - 60}, {"oldest_waiting_at": 1e9 + 3600}])
def test_a_mail_on_its_way_stops_nothing(fine):
    """Each alert would look like the death of the alerter."""
    assert withheld(**WELL | fine) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_url_is_called_as_asked(method):
    """The service would never hear of us."""
    with called() as (url, calls):
        assert asyncio.run(call(HeartbeatSettings(url=url, method=method))).outcome == "called"

    assert calls == [(method, f"/ping/{SECRET}")]


def test_a_redirect_is_not_followed():
    """The secret in the URL, or the beat itself, would go to whoever answers."""
    with called() as (elsewhere, reached), called(302, location=elsewhere) as (url, _):
        reason = asyncio.run(call(HeartbeatSettings(url=url)))

    assert reason == Reason("refused", "answered 302, and redirects are not followed")
    assert reached == []


def test_a_service_that_hangs_costs_a_deadline(monkeypatch):
    """One call that never ends would be the last."""
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.2)
    end = threading.Event()
    with called(hang=end) as (url, _):
        reason = asyncio.run(call(HeartbeatSettings(url=url)))
        end.set()

    assert reason.outcome == "timeout"


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:1/{SECRET}", f"http://{SECRET}.invalid/", f"http://user:{SECRET}@127.0.0.1:1/"]
)
def test_a_failure_does_not_tell_the_secret(url):
    """Whoever reads the log could keep the switch from ever going off."""
    reason = asyncio.run(call(HeartbeatSettings(url=url)))

    assert reason.outcome == "unreachable"
    assert reason.words
    assert SECRET not in reason.words


@pytest.mark.parametrize(
    ("content", "outcome"), [("{url}\n", "called"), ("ftp://x", "unreadable"), (None, "unreadable")]
)
def test_the_url_may_stand_in_a_file_of_its_own(tmp_path, content, outcome):
    """The secret would have to stand in the settings, which more people can read."""
    with called() as (url, _):
        if content:
            write(tmp_path / "url", content.format(url=url))
        assert asyncio.run(call(HeartbeatSettings(url_file=str(tmp_path / "url")))).outcome == outcome


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{{url: 'ftp://{SECRET}'}}", "alerter.heartbeat.url: is not an http or https URL"),
        (f"{{url: 'http://a:x{SECRET}'}}", "alerter.heartbeat.url: is not an http or https URL"),
        (f"{{url: [{SECRET}]}}", "alerter.heartbeat.url: must be text, not a list"),
        (f"{{url: 'http://a/{SECRET}', url_file: b}}", "alerter.heartbeat.url_file: is given beside url"),
        ("{url_file: ''}", "alerter.heartbeat.url_file: is empty"),
        ("{url: 'http://a', interval: 0}", "alerter.heartbeat.interval: must be 1s or longer"),
        ("{url: 'http://a', method: PUT}", "'PUT' is not one of GET, HEAD, POST"),
    ],
)
def test_a_mistake_is_told_without_the_secret(tmp_path, text, said):
    """A typing mistake would put the secret into a log."""
    file = write(tmp_path / "gpuwarden.yml", f"alerter: {{heartbeat: {text}}}\n")
    with pytest.raises(DocumentError) as caught:
        load("alerter", AlerterSettings, config=file, environ={})

    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_settings_are_shown_without_the_secret(tmp_path):
    """Who posts the output of `gpuwarden config` would post the secret."""
    write(tmp_path / "gpuwarden.yml", f"alerter: {{heartbeat: {{url: 'http://a/{SECRET}'}}}}\n")
    shown = run("config", home=tmp_path)

    assert "alerter.heartbeat.url: ***" in shown.stdout
    assert SECRET not in shown.stdout
    assert SECRET not in repr(HeartbeatSettings(url=f"http://a/{SECRET}"))


def test_the_demo_calls_nobody():
    """Somebody who plays with the demo would keep a real switch from going off."""
    assert not AlerterSettings(demo=True, heartbeat=HeartbeatSettings(url="http://a")).heartbeat_in_force.is_wanted


def test_it_beats_while_all_is_well_and_says_each_change_once(caplog):
    """A log full of one line, or a beat that stops for good after one failure."""
    caplog.set_level("INFO", logger="alerts.heartbeat")
    answers = [None, Reason("mail_stuck", "x"), Reason("mail_stuck", "x"), None]

    async def story(url):
        done = asyncio.Event()

        async def why_not():
            if not answers:
                done.set()
                await asyncio.Event().wait()
            return answers.pop(0)

        settings = HeartbeatSettings(url=url, interval=Duration(0.01))
        beats = Heartbeat(in_force(heartbeat=settings), why_not)
        running = asyncio.create_task(beats.run())
        await asyncio.wait_for(done.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return beats

    with called() as (url, calls):
        beats = asyncio.run(story(url))

    assert len(calls) == 2
    assert beats.outcomes == {"called": 2, "mail_stuck": 2}
    assert caplog.text.count("the heartbeat goes out") == 2
    assert caplog.text.count("no heartbeat (mail_stuck): x") == 1
    assert SECRET not in caplog.text
