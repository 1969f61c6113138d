import asyncio
import itertools
import json
import tempfile
from pathlib import Path

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from alerts.compose_mail import compose
from alerts.decisions import Decisions
from alerts.intake import webhook_route
from alerts.judge_post import judge_post
from alerts.mail_settings import MailSettings
from alerts.notify.due import notifications
from alerts.posts import Posts
from alerts.rules import SHIPPED, load_rules
from alerts.store import Store
from alerts.webhook import parse_post
from tests.fakes.alertmanager_posts import payload, posted
from tests.in_force import in_force

NOW = 1_800_000_000.0
RULES = load_rules(SHIPPED, [])
FOR = next(rule.for_ for rule in RULES if rule.alert == "GpuMemoryAlmostFull")

TEXT = st.text(st.characters(codec=None), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["alertname", "severity", "instance", "job", "uuid", "gpu", "exported_severity"]) | TEXT
ALERTNAMES = st.sampled_from([rule.alert for rule in RULES] + ["Watchdog", "Else"])
ALERTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]) | JSON,
        "labels": st.dictionaries(NAMES, TEXT | ALERTNAMES, max_size=6) | JSON,
    },
    optional={
        "annotations": st.dictionaries(st.sampled_from(["summary", "description", "value"]) | TEXT, TEXT) | JSON,
        "startsAt": st.datetimes().map(lambda moment: moment.isoformat() + "Z") | JSON,
        "endsAt": JSON,
    },
)
PAYLOADS = st.fixed_dictionaries(
    {"version": st.just("4"), "alerts": st.lists(ALERTS, max_size=5) | JSON}, optional={"truncatedAlerts": JSON}
)


def in_order(states):
    """The states as text, since NaN is no number."""
    return sorted(repr(item) for item in states.items())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(PAYLOADS | JSON, min_size=1, max_size=4))
def test_any_json_is_answered_and_the_state_can_be_read_again(bodies):
    """Whoever can post could stop the alerting, or leave a state that no restart can read."""

    async def story(folder):
        with Store.open(folder) as store:
            decisions = Decisions(store, in_force(RULES, ["me@example.com"]))
            app = Starlette(routes=[webhook_route(Posts(decisions), lambda: None)])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://alerter") as client:
                for body in bodies:
                    headers = {"content-type": "application/json"}
                    answer = await client.post("/webhook", content=json.dumps(body), headers=headers)
                    assert answer.status_code in {200, 400}
            assert in_order(store.load_states()) == in_order(decisions.states)
            assert all(state.phase == "firing" for state in decisions.states.values())
            for notification in store.uncomposed():
                assert compose(notification, MailSettings()).data.isascii()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))


class Receiver:
    """The alerter's memory, posted to directly."""

    def __init__(self):
        self.states, self.ended, self.told, self.now, self.superseded = {}, {}, [], NOW + 100, 0
        self._ids = (f"id{number}" for number in itertools.count())

    def take(self, run, status, *, at=None, sender=""):
        """One post of run ``run`` of the alert, which lasts from 100 run to 100 run + 50."""
        start = NOW + 100 * run
        alert = posted(status, start=start, end=start + 50 if status == "resolved" else None)
        self.now = self.now + 1 if at is None else NOW + at
        post = parse_post(payload(alert, externalURL=sender))
        changes, over = judge_post(post, RULES, self.states, self.ended, self.now)
        told, changes = notifications(changes, (), ["me@example.com"], lambda: next(self._ids))
        self.states |= {change.key: change.state for change in changes}
        self.states = {key: state for key, state in self.states.items() if state}
        self.ended |= over
        self.superseded += sum(change.reason == "superseded" for change in changes)
        self.told += told

    def of(self, reason):
        return [item for item in self.told if item.reason == reason]


POST = st.tuples(st.integers(0, 3), st.sampled_from(["firing", "resolved"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(POST, min_size=1, max_size=25))
def test_in_any_order_at_most_one_incident_is_open_and_each_is_closed_once(sent):
    """Posts that overtake each other would be an incident that never ends, or one that ends twice."""
    receiver = Receiver()
    for run, status in sent:
        receiver.take(run, status)
    opened = [item.incident for item in receiver.of("first")]
    closed = [item.incident for item in receiver.of("resolved")]

    assert len(set(opened)) == len(opened)
    assert len(set(closed)) == len(closed)
    assert set(closed) <= set(opened)
    assert len(opened) - len(closed) - receiver.superseded == len(receiver.states) <= 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(POST, st.integers(0, 400)), max_size=25))
def test_what_one_alertmanager_posts_as_firing_is_never_swallowed(sent):
    """A card would be full, the last mail would say RESOLVED, and nobody would hear of it for hours."""
    receiver, at = Receiver(), 300
    for (run, status), gap in sent:
        at += gap
        receiver.take(run, status, at=at)
        if status == "firing":
            assert receiver.states
            assert {state.incident for state in receiver.states.values()} <= {item.id for item in receiver.told}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(1, 49), min_size=1, max_size=3), st.none() | st.integers(50, 99))))
def test_each_run_is_told_though_the_end_of_the_last_one_never_came(runs):
    """After a silence, the next time that the card fills up would pass for the last one."""
    receiver = Receiver()
    for run, (fired, over) in enumerate(runs):
        for at in sorted(fired):
            receiver.take(run, "firing", at=100 * run + at)
        if over:
            receiver.take(run, "resolved", at=100 * run + over)

    assert [item.started_at + FOR for item in receiver.of("first")] == [NOW + 100 * run for run in range(len(runs))]
    assert len(receiver.of("resolved")) == sum(over is not None for _, over in runs)


@st.composite
def cluster(draw):
    """Three peers that post each run as firing, at most 29 s late, and then as resolved: (at, peer, run, status)."""
    posts = []
    for peer in range(3):
        free = 0
        for run in range(3):
            begun = draw(st.integers(max(free, 100 * run), 100 * run + 79))
            free = draw(st.integers(max(begun, 100 * run + 50), 100 * run + 120))
            posts += [(begun, peer, run, "firing")] * draw(st.integers(1, 3)) + [(free, peer, run, "resolved")]
    return sorted(posts, key=lambda post: post[0])


@settings(max_examples=200, deadline=None)
@given(cluster())
def test_peers_that_lag_and_retry_tell_each_run_once(posts):
    """A cluster of three Alertmanagers would be three mails, or the slowest one would call alerts back to life."""
    receiver = Receiver()
    for at, peer, run, status in posts:
        receiver.take(run, status, at=at, sender=f"http://am{peer}:9093")

    assert [item.reason for item in receiver.told] == ["first", "resolved"] * 3
    assert [item.started_at + FOR for item in receiver.of("first")] == [NOW, NOW + 100, NOW + 200]
    assert receiver.states == {}
