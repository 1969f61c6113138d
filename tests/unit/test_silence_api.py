import asyncio
import datetime as dt
import json
import sqlite3
from contextlib import asynccontextmanager, closing

import httpx
import pytest
from starlette.applications import Starlette

from alerts.silence_api import LARGEST_BODY, elsewhere_routes, silence_routes
from alerts.silences import Silences
from alerts.store import FILE_NAME, Store

JSON = {"content-type": "application/json"}


def asked(*matchers, hours=1.0, **keys):
    """What a client posts now."""
    now = dt.datetime.now(dt.UTC)
    times = {"startsAt": now.isoformat(), "endsAt": (now + dt.timedelta(hours=hours)).isoformat()}
    return {"matchers": list(matchers) or [{"name": "gpu", "value": "2", "isRegex": False}], **times, **keys}


@asynccontextmanager
async def door(folder, *, asks=False, comes_from="127.0.0.1", base_url="http://localhost:9401"):
    """The routes over a real store, and that store."""
    with Store.open(folder / "state") as store:
        routes = silence_routes(Silences(store), lambda: asks)
        transport = httpx.ASGITransport(Starlette(routes=routes), client=(comes_from, 1))
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client, store


def test_the_life_of_a_silence(tmp_path):
    """A client of Alertmanager could not silence an alerter that judges by itself, or a restart would forget it."""

    async def story():
        async with door(tmp_path) as (client, _):
            answer = await client.post("/api/v2/silences", json=asked(createdBy="ann", comment="known"))
            assert answer.status_code == 200
            identity = answer.json()["silenceID"]
        async with door(tmp_path) as (client, _):
            (listed,) = (await client.get("/api/v2/silences")).json()
            assert (listed["id"], listed["createdBy"], listed["status"]) == (identity, "ann", {"state": "active"})
            assert (await client.get(f"/api/v2/silence/{identity}")).json() == listed
            changed = await client.post("/api/v2/silences", json=asked(id=identity, hours=9))
            assert changed.json() == {"silenceID": identity}
            assert (await client.delete(f"/api/v2/silence/{identity}")).status_code == 200
            assert (await client.get(f"/api/v2/silence/{identity}")).json()["status"] == {"state": "expired"}

    asyncio.run(story())


def test_the_list_is_filtered_as_alertmanager_does(tmp_path):
    """``amtool silence query gpu=1`` would show everybody's silences."""

    async def story():
        async with door(tmp_path) as (client, _):
            for gpu in "012":
                await client.post("/api/v2/silences", json=asked({"name": "gpu", "value": gpu, "isRegex": False}))
            for filters, found in ((["gpu=1"], ["1"]), (['gpu=~"0|1"', "gpu!=0"], ["1"]), (["user=ann"], [])):
                answer = await client.get("/api/v2/silences", params={"filter": filters})
                assert [item["matchers"][0]["value"] for item in answer.json()] == found
            for wrong in (["gpu"], ['gpu=~"("'], ['gpu=~"(a+)+"'], ["a=b"] * 21):
                assert (await client.get("/api/v2/silences", params={"filter": wrong})).status_code == 400

    asyncio.run(story())


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"{", JSON, 400, "the body is not JSON"),
        (b"[" * 50_000, JSON, 400, "the body is not JSON"),
        (b"\xff", JSON, 400, "the body is not JSON"),
        (json.dumps(asked() | {"matchers": []}), JSON, 400, "one to 20 matchers"),
        (json.dumps(asked(id="x")), JSON, 404, "there is no silence 'x'"),
        (json.dumps(asked()), {"content-type": "text/plain"}, 415, "not application/json"),
        (json.dumps(asked()), {}, 415, "not application/json"),
        (b" " * (LARGEST_BODY + 1), JSON, 413, "larger than 64 KiB"),
    ],
)
def test_what_is_no_silence_is_refused_in_words(tmp_path, content, headers, status, said):
    """A web page of a stranger could silence the alerts, a large body would fill memory, a mistake would go unseen."""

    async def story():
        async with door(tmp_path) as (client, _):
            answer = await client.post("/api/v2/silences", content=content, headers=headers)
            assert answer.status_code == status
            assert said in answer.json()
            assert (await client.get("/api/v2/silences")).json() == []
            for method in ("GET", "DELETE"):
                assert (await client.request(method, "/api/v2/silence/nope")).status_code == 404

    asyncio.run(story())


def test_a_disk_that_takes_nothing_is_503_and_nothing_is_silenced(tmp_path):
    """Somebody would believe in a silence that the next restart forgets."""

    async def story():
        async with door(tmp_path) as (client, store):
            store._connection.execute("PRAGMA busy_timeout = 10")
            with closing(sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)) as blocker:
                blocker.execute("BEGIN IMMEDIATE")
                assert (await client.post("/api/v2/silences", json=asked())).status_code == 503
                blocker.execute("ROLLBACK")
            assert (await client.get("/api/v2/silences")).json() == []
            assert (await client.post("/api/v2/silences", json=asked())).status_code == 200

    asyncio.run(story())


def test_where_alertmanager_judges_the_answer_says_whom_to_ask():
    """A silence that was put into the alerter would silence nothing, and nobody would know why."""

    async def story():
        places = ["http://am:9093"]
        transport = httpx.ASGITransport(Starlette(routes=elsewhere_routes(lambda: places[-1])))
        async with httpx.AsyncClient(transport=transport, base_url="http://alerter") as client:
            for method, path in (("GET", "silences"), ("POST", "silences"), ("DELETE", "silence/x")):
                answer = await client.request(method, f"/api/v2/{path}")
                assert answer.status_code == 404
                assert answer.json().endswith("ask it at http://am:9093")
            places.append("http://new:9093")  # a reload
            assert (await client.get("/api/v2/silences")).json().endswith("ask it at http://new:9093")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("comes_from", "base_url", "taken"),
    [
        ("127.0.0.1", "http://127.0.0.1:9401", True),
        ("127.0.0.1", "http://localhost", True),
        ("::1", "http://[::1]:9401", True),
        ("::ffff:127.0.0.1", "http://127.0.0.1:9401", True),
        ("192.0.2.7", "http://127.0.0.1:9401", False),
        ("::ffff:192.0.2.7", "http://localhost:9401", False),
        ("", "http://localhost:9401", False),
        ("127.0.0.1", "http://evil.example:9401", False),
        ("127.0.0.1", "http://127.0.0.1.evil.example:9401", False),
    ],
)
def test_a_page_that_asks_for_nothing_is_changed_from_this_machine_only(tmp_path, comes_from, base_url, taken):
    """Anyone on the network, or any web page in a browser here, could switch the alerts off."""

    async def story(where, *, asks):
        async with door(where, asks=asks, comes_from=comes_from, base_url=base_url) as (client, _):
            made = await client.post("/api/v2/silences", json=asked())
            if made.status_code == 403:
                assert (await client.delete("/api/v2/silence/x")).status_code == 403
                assert made.json().startswith("silences are taken")
            assert (await client.get("/api/v2/silences")).status_code == 200
            return made.status_code

    assert asyncio.run(story(tmp_path / "open", asks=False)) == (200 if taken else 403)
    assert asyncio.run(story(tmp_path / "locked", asks=True)) == 200
