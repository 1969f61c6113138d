import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing

import httpx
import pytest
from starlette.applications import Starlette

from alerts import intake, posts
from alerts.decisions import Decisions
from alerts.intake import LARGEST_BODY, webhook_route
from alerts.posts import Posts
from alerts.rules import SHIPPED, load_rules
from alerts.store import FILE_NAME, Store
from tests.fakes.alertmanager_posts import payload, posted
from tests.in_force import in_force

RULES = load_rules(SHIPPED, [])
JSON = {"content-type": "application/json"}
SECRET = "correct höárse 显"


class Door:
    """The webhook over a real store."""

    def __init__(self, store, client, decider, decisions):
        self.store, self.client, self.posts, self.decisions = store, client, decider, decisions

    async def post(self, content, headers=None):
        return await self.client.post("/webhook", content=content, headers=JSON if headers is None else headers)

    def written(self):
        with closing(sqlite3.connect(self.store.folder / FILE_NAME)) as db:
            return [
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("alert_states", "notifications")
            ]


@asynccontextmanager
async def door(folder, secret_file=None, **options):
    with Store.open(folder / "state", **options) as store:
        decisions = Decisions(store, in_force(RULES, ["me@example.com"]))
        decider = Posts(decisions)
        transport = httpx.ASGITransport(Starlette(routes=[webhook_route(decider, lambda: secret_file)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
            yield Door(store, client, decider, decisions)


def test_200_means_that_it_is_on_the_disk(tmp_path):
    """Alertmanager would forget an alert that a power loss then takes."""

    async def story():
        async with door(tmp_path) as here:
            assert (await here.post(payload(posted()))).status_code == 200
            assert here.written() == [1, 1]
            assert here.decisions.told.is_set()
            assert here.posts.posted_at is not None

    asyncio.run(story())


def test_copies_that_arrive_together_are_one_notification(tmp_path):
    """Two Alertmanagers of a cluster would be two mails."""

    async def story():
        async with door(tmp_path) as here:
            answers = await asyncio.gather(*(here.post(payload(posted())) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            assert here.written() == [1, 1]

    asyncio.run(story())


def test_a_restart_still_knows_what_was_told(tmp_path):
    """Each restart of the alerter would mail everything at the next post."""

    async def story():
        async with door(tmp_path) as here:
            await here.post(payload(posted()))
        async with door(tmp_path) as here:
            assert (await here.post(payload(posted()))).status_code == 200
            assert here.written() == [1, 1]
            assert (await here.post(payload(posted("resolved")))).status_code == 200
            assert here.written() == [0, 2]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (payload(version="3"), JSON, 400),
        (payload(posted()), {"content-type": "text/plain"}, 415),
        (payload(posted()), {}, 415),
        (b" " * (LARGEST_BODY + 1), JSON, 413),
        (payload(posted()), {"content-type": "application/json; charset=utf-8"}, 200),
        (payload(posted()).ljust(LARGEST_BODY), JSON, 200),
    ],
)
def test_what_can_never_be_taken_is_refused_for_good(tmp_path, caplog, content, headers, status):
    """Alertmanager would send rubbish for ever, or a person would not learn why nothing comes."""

    async def story():
        async with door(tmp_path) as here:
            answer = await here.post(content, headers)
            assert answer.status_code == status
            assert here.written() == ([1, 1] if status == 200 else [0, 0])
            assert ("refused for good" in caplog.text) is (status != 200)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        (f"Basic {SECRET}".encode(), 401),
        (b"Bearer \xff\xfe", 401),
        (f"Bearer {SECRET}".encode(), 200),
        (f"bearer  {SECRET} ".encode(), 200),
    ],
)
def test_only_who_shows_the_secret_may_post(tmp_path, caplog, authorization, status):
    """Anyone on the network could send alarms and all-clears."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")

    async def story():
        async with door(tmp_path, str(secret)) as here:
            headers = JSON | ({} if authorization is None else {"authorization": authorization})
            answer = await here.post(payload(posted()), headers)
            assert answer.status_code == status
            assert SECRET not in caplog.text + answer.text

    asyncio.run(story())


def test_the_secret_is_read_at_each_post_and_without_one_nothing_is_taken(tmp_path):
    """A new secret would need a restart, or a missing one would open the door or drop alerts for good."""
    secret = tmp_path / "secret"

    async def story():
        async with door(tmp_path, str(secret)) as here:
            headers = JSON | {"authorization": f"Bearer {SECRET}".encode()}
            assert (await here.post(payload(posted()), headers)).status_code == 503
            assert "cannot be read" in here.posts.unhealthy()
            secret.write_text(" \n")
            empty = await here.post(payload(posted()), JSON | {"authorization": "Bearer "})
            assert empty.status_code == 503
            secret.write_text(SECRET)
            assert (await here.post(payload(posted()), headers)).status_code == 200
            assert here.posts.unhealthy() == ""
            secret.write_text("another")
            assert (await here.post(payload(posted()), headers)).status_code == 401

    asyncio.run(story())


def test_a_full_disk_is_503_with_nothing_half_done_and_recovers(tmp_path):
    """An alert at the time of a full disk would be lost, or be remembered as told."""

    async def story():
        many = payload(*(posted(gpu=str(number), uuid=f"GPU-{number}") for number in range(200)))
        async with door(tmp_path, max_bytes=120_000) as here:
            assert (await here.post(many)).status_code == 503
            assert here.written() == [0, 0]
            assert here.decisions.states == {}
            assert "the last post was not taken" in here.posts.unhealthy()
        async with door(tmp_path) as here:
            assert (await here.post(many)).status_code == 200
            assert here.written() == [200, 200]
            assert here.posts.unhealthy() == ""

    asyncio.run(story())


def test_a_state_that_turns_read_only_is_503_and_recovers_without_a_restart(tmp_path):
    """After a remount the alerter would need a hand."""

    async def story():
        async with door(tmp_path) as here:
            blocker = sqlite3.connect(here.store.folder / FILE_NAME, isolation_level=None)
            here.store._connection.execute("PRAGMA busy_timeout = 10")
            with closing(blocker):
                blocker.execute("BEGIN EXCLUSIVE")
                assert (await here.post(payload(posted()))).status_code == 503
                blocker.execute("ROLLBACK")
            assert (await here.post(payload(posted()))).status_code == 200
            assert here.written() == [1, 1]

    asyncio.run(story())


def test_a_post_that_changes_nothing_does_not_hide_a_disk_that_takes_nothing(tmp_path):
    """The alerter would call itself healthy while it loses what fires."""

    async def story():
        async with door(tmp_path) as here:
            assert (await here.post(payload(posted()))).status_code == 200
            blocker = sqlite3.connect(here.store.folder / FILE_NAME, isolation_level=None)
            here.store._connection.execute("PRAGMA busy_timeout = 10")
            with closing(blocker):
                blocker.execute("BEGIN EXCLUSIVE")
                assert (await here.post(payload(posted(gpu="1", uuid="GPU-1")))).status_code == 503
                assert (await here.post(payload(posted()))).status_code == 503
                assert "the last post was not taken" in here.posts.unhealthy()
                blocker.execute("ROLLBACK")
            assert (await here.post(payload(posted()))).status_code == 200
            assert here.posts.unhealthy() == ""

    asyncio.run(story())


def test_too_many_alerts_are_not_taken_now(tmp_path, monkeypatch):
    """A flood of made-up alerts would fill memory."""
    monkeypatch.setattr(posts, "MOST_ALERTS", 3)

    async def story():
        async with door(tmp_path) as here:
            cards = [posted(gpu=str(number), uuid=f"GPU-{number}") for number in range(4)]
            assert (await here.post(payload(*cards))).status_code == 503
            assert (await here.post(payload(*cards[:3]))).status_code == 200
            assert (await here.post(payload(cards[3]))).status_code == 503
            assert (await here.post(payload(*cards[:3]))).status_code == 200

    asyncio.run(story())


def test_a_post_that_makes_us_stumble_is_seen(tmp_path, monkeypatch):
    """The heartbeat would say that all is well, while Alertmanager tries to tell of a full card again and again."""

    async def story():
        async with door(tmp_path) as here:
            with monkeypatch.context() as broken:
                broken.setattr(posts, "judge_post", lambda *_: 1 / 0)
                with pytest.raises(ZeroDivisionError):  # uvicorn answers 500
                    await here.post(payload(posted()))
            assert here.posts.undecided == "the last post was not taken: a fault of ours: ZeroDivisionError"
            assert (await here.post(payload(posted()))).status_code == 200
            assert here.posts.unhealthy() == ""

    asyncio.run(story())


def test_a_body_that_never_ends_is_not_waited_for(tmp_path, monkeypatch):
    """A few stuck connections would keep every alert out."""
    monkeypatch.setattr(intake, "_BODY_SECONDS", 0.05)

    async def endless():
        yield b"{"
        await asyncio.Event().wait()

    async def story():
        async with door(tmp_path) as here:
            stuck = await asyncio.gather(*(here.post(endless()) for _ in range(6)))
            assert {answer.status_code for answer in stuck} == {503}
            assert (await here.post(payload(posted()))).status_code == 200

    asyncio.run(story())


def test_alerts_that_were_left_out_are_logged(tmp_path, caplog):
    """Nobody would learn that a limit swallows alerts."""

    async def story():
        async with door(tmp_path) as here:
            assert (await here.post(payload(posted(), truncatedAlerts=7))).status_code == 200

    asyncio.run(story())
    assert "left 7 alerts out of a post" in caplog.text


def test_the_secret_is_not_followed_into_a_folder(tmp_path):
    """A path that is no file would stop the alerter instead of the post."""

    async def story():
        async with door(tmp_path, str(tmp_path)) as here:
            assert (await here.post(payload(posted()), JSON | {"authorization": "Bearer x"})).status_code == 503

    asyncio.run(story())


def test_an_alert_that_alertmanager_takes_up_again_is_told_again(tmp_path):
    """After an all-clear by time-out, a card that is still full would be silent until repeat_interval."""

    async def story():
        async with door(tmp_path) as here:
            began = time.time() - 600
            for alert in (posted(start=began), posted("resolved", start=began, end=time.time()), posted(start=began)):
                assert (await here.post(payload(alert, externalURL="http://am:9093"))).status_code == 200
            assert here.written() == [1, 3]

    asyncio.run(story())


def test_cut_labels_are_said_and_ends_of_what_was_not_remembered_are_not_kept(tmp_path, caplog):
    """Alerts would change their labels without a word, or made-up ends would fill the memory."""

    async def story():
        async with door(tmp_path) as here:
            over = [posted("resolved", gpu=str(number), start=time.time() - 60) for number in range(100)]
            assert (await here.post(payload(*over))).status_code == 200
            assert here.posts._ended == {}
            assert (await here.post(payload(posted(note="y" * 10_000), posted()))).status_code == 200

    asyncio.run(story())
    assert "1 alerts of a post have too many or too long labels" in caplog.text
