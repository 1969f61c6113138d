import asyncio
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.compose_mail import compose
from alerts.evidence import prometheus
from alerts.evidence.prometheus import EvidenceError, PrometheusEvidence, parse_answer, query_of
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.notify.evidence import with_evidence
from alerts.posted_identity import find_rule
from alerts.promql import quote
from alerts.rules import SHIPPED, load_rules
from alerts.series import Scrape
from tests.golden.example_mails import FIRING, RESOLVED

RULES = load_rules(SHIPPED, [])
OWN = {"job": "gpuwarden", "instance": "box:9400"}
CARD = {"gpu": "0", "uuid": "GPU-a"}
LABELS = tuple(sorted((OWN | CARD).items()))
FULL = replace(
    FIRING,
    alertname="GpuMemoryAlmostFull",
    metric="gpu_memory_used_ratio",
    labels=LABELS,
    value=0.95,
    host="box:9400",
    holders=(),
    simulated=False,
)
OVER = replace(RESOLVED, alertname=FULL.alertname, metric=FULL.metric, labels=LABELS, value=None, holders=())


def answer(*rows):
    """An instant vector of (name, labels, value)."""
    result = [{"metric": {"__name__": name, **OWN, **labels}, "value": [1.0, value]} for name, labels, value in rows]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


USUAL = answer(
    ("host_info", {"hostname": "trainer"}, "1"),
    ("gpuwarden_exporter_simulated", {}, "1"),
    ("gpu_process_memory_used_bytes", CARD | {"pid": "7", "process": "a\r\nBcc: x", "user": "ann"}, "9e9"),
    ("gpu_process_memory_used_bytes", {"gpu": "1", "uuid": "GPU-b", "pid": "8", "process": "elsewhere"}, "1e9"),
    ("gpu_memory_used_ratio", CARD, "0.5"),
    ("gpu_memory_used_ratio", {"gpu": "1", "uuid": "GPU-b"}, "0.6"),
)


@contextmanager
def answering(body, status=200, wait=0.0):
    """A server that answers so, to each query by ``body`` where that is a function; yields its URL and the queries."""
    queries = []
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            form = self.rfile.read(int(self.headers["content-length"])).decode()
            queries.append(parse_qs(form)["query"][0])
            release.wait(wait)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body(queries[-1]) if callable(body) else body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", queries
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def enriched(url, *notifications, deadline=3.0):
    return asyncio.run(PrometheusEvidence(url, lambda: RULES, deadline).enrich(notifications))


def test_a_firing_mail_gets_holders_host_and_the_mark_of_simulation():
    """Behind Alertmanager the mail would not say whom to stop, nor where."""
    with answering(USUAL) as (url, queries):
        (found,) = enriched(url, FULL)

    assert [(holder.process, holder.user, holder.memory_bytes) for holder in found.holders] == [
        ("a Bcc: x", "ann", 9e9)
    ]
    assert (found.host, found.simulated, found.value) == ("trainer", True, 0.95)
    assert found.summary == "GPU 0 memory is 95.0 % full"
    assert len(queries) == 1


def test_a_resolved_mail_gets_the_value_now():
    """The all-clear would state no value, or the one of the alarm."""
    with answering(USUAL) as (url, _):
        (found,) = enriched(f"{url}/", OVER)

    assert (found.value, found.summary) == (0.5, "GPU 0 memory is 50.0 % full")


def test_a_lowered_mail_gets_the_value_now():
    """Alertmanager posts what it held back with the value of long ago: a card that is empty would be called full."""
    with answering(USUAL) as (url, _):
        (found,) = enriched(url, replace(FULL, reason="lowered"))

    assert (found.value, found.summary) == (0.5, "GPU 0 memory is 50.0 % full")


def test_what_a_window_says_is_not_asked_of_the_series():
    """The last value of a counter would stand in the mail as its increase."""
    with answering(USUAL) as (url, _):
        (found,) = enriched(url, replace(OVER, reading="highest of the last 10 min"))

    assert found.value is None
    assert "Value now" not in dict(view_of(found).facts)


DISK, CARD = "host_filesystem_used_ratio", "gpu_memory_used_ratio"
GONE, UNREAD = "no longer reported", "no reading"


@pytest.mark.parametrize(
    ("metric", "ends", "said"), [(DISK, True, GONE), (DISK, False, UNREAD), (CARD, True, GONE), (CARD, False, GONE)]
)
def test_a_series_that_ended_for_good_is_said_to_be_gone(metric, ends, said):
    """The all-clear of a disk that was unmounted would read like that of a machine in trouble."""
    labels = tuple(sorted((*OWN.items(), ("mountpoint", "/mnt"))))
    over = replace(OVER, metric=metric, labels=labels)
    scrape = Scrape("", OWN["job"], OWN["instance"], at=0.0)
    rule = replace(find_rule(RULES, OVER.alertname, OWN), metric=metric, ends_when_gone=ends)
    found = with_evidence(over, scrape, rule)

    assert dict(view_of(found).facts)["Value now"] == said


def test_labels_that_prometheus_adds_to_alerts_do_not_hide_the_value():
    """With external_labels no resolved mail would have a value."""
    with answering(USUAL) as (url, _):
        (found,) = enriched(url, replace(OVER, labels=tuple(sorted((*LABELS, ("cluster", "east"))))))

    assert found.value == 0.5


def test_the_host_goes_into_the_texts():
    """The mail would name an address where it should name a machine."""
    disk = replace(
        FULL,
        alertname="HostFilesystemAlmostFull",
        metric="host_filesystem_used_ratio",
        labels=tuple(sorted((*OWN.items(), ("mountpoint", "/data")))),
        value=0.96,
    )
    with answering(USUAL) as (url, _):
        (found,) = enriched(url, disk)

    assert found.summary == "File system /data on trainer is 96.0 % full"


def test_a_target_that_is_down_is_named_as_it_was():
    """The mail about a dead machine would name an address, and a dead demo's mail would pass for a real one."""
    down = replace(FULL, alertname="TargetDown", metric="up", labels=tuple(sorted(OWN.items())), value=0.0)

    def stale(query):
        return USUAL if query.startswith("last_over_time") else answer(("up", {}, "0"))

    with answering(stale) as (url, queries):
        (found,) = enriched(url, down)

    assert (found.host, found.simulated, found.holders) == ("trainer", True, ())
    assert queries[1] == (
        'last_over_time({__name__=~"gpuwarden_exporter_simulated|host_info", instance="box:9400", job="gpuwarden"}[1h])'
    )


def test_a_past_that_cannot_be_read_costs_only_the_name():
    """Half an answer of Prometheus would cost the mail its value."""
    over = replace(OVER, alertname="TargetDown", metric="up", labels=tuple(sorted(OWN.items())))

    def half(query):
        return b"no" if query.startswith("last_over_time") else answer(("up", {}, "1"))

    with answering(half) as (url, _):
        (found,) = enriched(url, over)

    assert found.value == 1.0


def test_many_alerts_of_one_target_are_one_query():
    """A hundred alerts at once would be a hundred queries."""
    with answering(USUAL) as (url, queries):
        found = enriched(url, *[FULL, OVER] * 50)

    assert len(found) == 100
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"no", 200),
        (b'{"data": {"result": [{"metric": 1, "value": [1, "2"]}]}}', 200),
        (b'{"data": {"result": 7}}', 200),
        (b'{"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}', 200),
        (b"[" * 100_000, 200),
        (b'{"data": {"result": [{"metric": {}, "value": [1, ' + b"9" * 400 + b"]}]}}", 200),
        (USUAL, 500),
        (USUAL, 302),
    ],
)
def test_no_evidence_holds_a_mail_back(caplog, body, status):
    """A Prometheus in trouble would stop the alerts about it."""
    with answering(body, status) as (url, _):
        assert enriched(url, FULL, OVER) == [FULL, OVER]

    assert "no evidence from Prometheus" in caplog.text


TEXT = st.text(st.characters(codec=None), max_size=20)
NUMBER = st.floats() | st.integers(-(10**400), 10**400) | st.floats().map(str) | TEXT
ANY = st.recursive(
    st.none() | st.booleans() | NUMBER,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAME = st.sampled_from(["host_info", "gpuwarden_exporter_simulated", "gpu_process_memory_used_bytes", FULL.metric])
METRIC = st.fixed_dictionaries(
    {"__name__": NAME | ANY},
    optional={"uuid": st.just("GPU-a") | ANY, "hostname": TEXT | ANY, "process": TEXT | ANY, "gpu": ANY},
)
SERIES = st.fixed_dictionaries({"metric": METRIC | ANY, "value": st.tuples(NUMBER, NUMBER) | ANY})
ANSWER = st.fixed_dictionaries({"data": st.fixed_dictionaries({"result": st.lists(SERIES, max_size=4) | ANY}) | ANY})


@settings(max_examples=150, deadline=None)
@given(ANSWER | ANY)
def test_whatever_is_answered_the_mail_goes_out(data):
    """One strange sample in Prometheus would stop every mail until someone restarts the alerter."""
    try:
        samples = parse_answer(json.dumps(data).encode())
    except EvidenceError:
        return
    scrape = Scrape("http://prometheus:9090", OWN["job"], OWN["instance"], at=0.0, samples=samples)
    for notification in (FULL, OVER):
        found = with_evidence(notification, scrape, find_rule(RULES, notification.alertname, OWN))
        assert compose(found, MailSettings()).data.isascii()


def test_a_prometheus_that_hangs_costs_the_deadline_once():
    """A thousand alerts would each wait for a silent Prometheus."""
    others = [replace(FULL, labels=(("instance", f"box{number}:9400"),)) for number in range(20)]
    begun = time.monotonic()
    with answering(USUAL, wait=10) as (url, _):
        assert enriched(url, *others, deadline=0.2) == others
        assert time.monotonic() - begun < 2


def test_a_prometheus_that_is_gone_is_said_once_and_its_return_too(caplog):
    """The log would fill while Prometheus restarts, and never say that it is well again."""
    caplog.set_level("INFO")

    async def story(url):
        evidence = PrometheusEvidence("http://127.0.0.1:1", lambda: RULES)
        await evidence.enrich([FULL])
        await evidence.enrich([FULL])
        evidence._url = f"{url}/api/v1/query"
        await evidence.enrich([FULL])

    with answering(USUAL) as (url, _):
        asyncio.run(story(url))

    assert [record.levelname for record in caplog.records if "evidence" in record.message] == ["WARNING", "INFO"]


def test_a_password_in_the_url_is_not_logged(caplog):
    """The password of Prometheus would stand in the log."""
    enriched("http://ann:hunter2@127.0.0.1:1", FULL)

    assert "no evidence" in caplog.text
    assert "hunter2" not in caplog.text


def test_an_answer_without_end_is_cut(monkeypatch):
    """A query that finds too much would take all memory."""
    monkeypatch.setattr(prometheus, "MOST_BYTES", 1000)
    with answering(USUAL) as (url, _):
        assert enriched(url, FULL) == [FULL]


def test_an_alert_without_a_target_asks_nothing():
    """An alert over several machines would get the holders of any of them."""
    alone = replace(FULL, labels=(("gpu", "0"),))
    with answering(USUAL) as (url, queries):
        assert enriched(url, alone) == [alone]
    assert queries == []


def test_a_query_cannot_be_broken_out_of():
    """A label could read other series, or make the query invalid."""
    hostile = '"} or vector(1) #\\\n\x00\x7f显'
    assert quote(hostile) == r'"\"} or vector(1) #\\\n\x00\x7f显"'
    assert query_of(("", "a:1"), ["b", "a"]) == '{__name__=~"a|b", instance="a:1"}'
    assert query_of(("j", "i"), ["a"]) == '{__name__=~"a", instance="i", job="j"}'


def test_what_is_no_vector_is_refused():
    """Rubbish would become a value in a mail."""
    with pytest.raises(EvidenceError, match="not an instant vector"):
        parse_answer(b"{}")
