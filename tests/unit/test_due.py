import email
import itertools
import re
from dataclasses import replace
from types import MappingProxyType

import pytest

from alerts.compose_mail import render
from alerts.compose_plain import compose_plain
from alerts.judge import Change, judge
from alerts.mail_settings import MailSettings
from alerts.mail_view import view_of
from alerts.notify.due import notifications, random_id, wanted_metrics
from alerts.notify.page_facts import EVIDENCE_METRICS, MOST_HOLDERS
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules, rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.state import AlertKey, State
from gpuwarden.documents import parse

NOW = 1_800_000_000.0
RULES = {rule.alert: rule for rule in load_rules(SHIPPED, [])}
OWN = {"job": "gpuwarden", "instance": "127.0.0.1:9400"}
CARD = {"gpu": "0", "uuid": "GPU-a"}


def page(error: str | None = None, **rows: list[tuple[dict[str, str], float]]) -> Scrape:
    rows.setdefault("up", [({}, 0.0 if error else 1.0)])
    samples = {
        name: tuple(Sample(label_set(labels | OWN), value) for labels, value in row) for name, row in rows.items()
    }
    return Scrape("http://127.0.0.1:9400/metrics", OWN["job"], OWN["instance"], NOW, error, MappingProxyType(samples))


def told(rule: Rule, scrapes, states=None, begin: int = 1):
    ids = (f"id{number}" for number in itertools.count(begin))
    changes = judge([replace(rule, for_=0.0, keep_firing_for=0.0)], scrapes, states or {}, NOW, max_gap=10.0)
    return notifications(changes, scrapes, ["me@example.com"], lambda: next(ids))


def full(value: float = 0.934, **rows) -> Scrape:
    return page(gpu_memory_used_ratio=[(CARD, value)], host_info=[({"hostname": "box"}, 1.0)], **rows)


def states_of(changes: list[Change]):
    return {change.key: change.state for change in changes if change.state}


def test_first_and_resolved_share_one_incident():
    """The resolved mail starts a thread of its own, or cannot say since when."""
    (first,), changes = told(RULES["GpuMemoryAlmostFull"], [full()])
    assert (first.id, first.incident, first.root, first.reason) == ("id1", "id1", "id1", "first")
    assert changes[0].state.incident == "id1"
    assert first.summary == "GPU 0 memory is 93.4 % full"
    assert (first.at, first.started_at, first.value, first.host) == (NOW, NOW, 0.934, "box")
    assert (first.recipients, first.threshold, first.unit) == (("me@example.com",), 0.9, "ratio")
    (resolved,), after = told(RULES["GpuMemoryAlmostFull"], [full(0.5)], states_of(changes), begin=7)
    assert (resolved.id, resolved.incident, resolved.root, resolved.reason) == ("id7", "id1", "id1", "resolved")
    assert (resolved.value, resolved.started_at) == (0.5, NOW)
    assert after[0].state is None


def test_everything_else_is_silent():
    """Mails arrive for an alert that only waits, is held or was taken away."""
    _, changes = told(RULES["GpuMemoryAlmostFull"], [full()])
    remembered = states_of(changes)
    assert told(RULES["GpuMemoryAlmostFull"], [full()], remembered)[0] == []
    assert told(RULES["GpuMemoryAlmostFull"], [page("refused")], remembered)[0] == []
    assert told(RULES["HostMemoryAlmostFull"], [page()], remembered)[0] == []


def test_holders_are_those_of_the_card_by_size():
    """The mail blames a process on another card, or leaves out the one to stop."""
    rows = [
        (CARD | {"pid": "7", "process": "small"}, 1e9),
        (CARD | {"pid": "8", "process": "python train.py", "user": "ann", "container": "c1"}, 5e9),
        ({"gpu": "1", "uuid": "GPU-b", "pid": "9", "process": "elsewhere"}, 9e9),
        (CARD | {"pid": "10", "process": "unreadable"}, float("nan")),
    ]
    (first,), _ = told(RULES["GpuMemoryAlmostFull"], [full(gpu_process_memory_used_bytes=rows)])
    assert [(holder.pid, holder.process, holder.memory_bytes) for holder in first.holders] == [
        ("8", "python train.py", 5e9),
        ("7", "small", 1e9),
    ]
    assert (first.holders[0].user, first.holders[0].container) == ("ann", "c1")


def test_holders_are_bounded_and_clean():
    """A process name breaks the mail's header or a thousand processes make it unreadable."""
    rows = [(CARD | {"pid": str(n), "process": "a\r\nBcc: x\u202e\x00" + "y" * 9999}, 1e6 + n) for n in range(50)]
    (first,), _ = told(RULES["GpuMemoryAlmostFull"], [full(gpu_process_memory_used_bytes=rows)])
    assert len(first.holders) == MOST_HOLDERS
    assert first.holders[0].pid == "49"
    assert re.fullmatch(r"a Bcc: x y{10,}…", first.holders[0].process)
    assert len(first.holders[0].process) == 200


@pytest.mark.parametrize(("value", "expected"), [(1.0, True), (0.0, False)])
def test_simulated_is_said(value, expected):
    """A demo's mail looks like a real one, or a real one like a demo's."""
    (first,), _ = told(RULES["GpuMemoryAlmostFull"], [full(gpuwarden_exporter_simulated=[({}, value)])])
    assert first.simulated is expected


def test_the_end_of_a_simulated_alert_is_simulated_also_without_evidence():
    """The all-clear of a demo would read like a real one, from a host without its name."""
    rule = RULES["GpuMemoryAlmostFull"]
    _, changes = told(rule, [full(gpuwarden_exporter_simulated=[({}, 1.0)])])
    bare = page(gpu_memory_used_ratio=[(CARD, 0.5)])
    (resolved,), _ = told(rule, [bare], states_of(changes))
    assert (resolved.reason, resolved.simulated, resolved.host) == ("resolved", True, "box")
    _, changes = told(rule, [full()])
    (resolved,), _ = told(rule, [bare], states_of(changes))
    assert (resolved.simulated, resolved.host) == (False, "box")


def test_where_everything_is_simulated_everything_says_so():
    """A demo that Alertmanager judges would mail as if it were real."""
    changes = judge([replace(RULES["GpuMemoryAlmostFull"], for_=0.0)], [full()], {}, NOW, max_gap=10.0)
    (first,), (change,) = notifications(changes, (), ["me@example.com"], lambda: "id1", simulated=True)
    assert first.simulated
    assert change.state.simulated


def test_lost_card_and_target_read_well():
    """At three in the morning the mail says "value no"."""
    lost = page(gpu_up=[(CARD, 0.0)], host_info=[({"hostname": "box"}, 1.0)])
    (card,), _ = told(RULES["GpuLost"], [lost])
    assert card.summary == "GPU 0 does not answer any more"
    (target,), _ = told(RULES["TargetDown"], [page("refused")])
    assert target.summary == "Nothing can be read from 127.0.0.1:9400"
    assert (target.host, target.holders, target.simulated) == ("127.0.0.1:9400", (), False)


def test_host_and_mountpoint_are_put_in():
    """The mail does not say which disk of which machine."""
    labels = {"device": "/dev/sda1", "mountpoint": "/da\nta", "fstype": "ext4"}
    scrape = page(host_filesystem_used_ratio=[(labels, 0.96)], host_info=[({"hostname": "box"}, 1.0)])
    (first,), _ = told(RULES["HostFilesystemAlmostFull"], [scrape])
    assert first.summary == "File system /da ta on box is 96.0 % full"
    assert dict(first.labels)["mountpoint"] == "/da ta"


def test_values_are_not_templates():
    """A label that looks like a placeholder reads other labels, or breaks the text."""
    rule = replace(RULES["GpuMemoryAlmostFull"], summary="{{ gpu }} {{threshold}} {{ nothing }}")
    scrape = page(gpu_memory_used_ratio=[({"gpu": "{{ value }}", "uuid": "u"}, 0.95)])
    (first,), _ = told(rule, [scrape])
    assert first.summary == "{{ value }} 90.0 %"


def test_wanted_metrics():
    """A scrape drops what the mail needs."""
    assert wanted_metrics([RULES["GpuLost"]]) == EVIDENCE_METRICS | {"gpu_up"}


def test_random_id():
    """Two notifications get one Message-ID, or an id breaks a header."""
    ids = {random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[a-z2-7]{20}", item) for item in ids)


def test_a_series_that_is_gone_for_good_is_said_to_be_gone():
    """The mail about a disk that was unmounted would say that it has no reading, as of a machine in trouble."""
    rule = replace(RULES["GpuMemoryAlmostFull"], ends_when_gone=True)
    _, changes = told(rule, [full()])
    (resolved,), _ = told(rule, [page()], states_of(changes))
    assert (resolved.reason, resolved.value, resolved.gone) == ("resolved", None, True)
    assert ("Value now", "no longer reported") in view_of(resolved).facts


def test_a_card_that_was_taken_out_does_not_look_like_one_that_is_back():
    """Somebody reads RESOLVED on a phone and starts the next job on a card that is in a drawer."""
    _, changes = told(RULES["GpuLost"], [page(gpu_up=[(CARD, 0.0)])])
    (forgotten,), _ = told(RULES["GpuLost"], [page()], states_of(changes))
    assert view_of(forgotten).subject.endswith("GPU 0 does not answer… on 127.0.0.1:9400, gone")
    (back,), _ = told(RULES["GpuLost"], [page(gpu_up=[(CARD, 1.0)])], states_of(changes))
    assert "reported" not in view_of(back).subject


def test_an_age_that_is_gone_says_so():
    """The mail that nothing waits any more would not say why it came."""
    stamp = ({}, NOW - 4000.0)
    _, changes = told(RULES["AlerterMailStuck"], [page(gpuwarden_alerter_outbox_oldest_timestamp_seconds=[stamp])])
    (resolved,), _ = told(RULES["AlerterMailStuck"], [page()], states_of(changes))
    assert view_of(resolved).facts[0] == ("Value now", "no longer reported")


def test_the_first_mail_holds_the_override_and_the_last_one_does_not():
    """Nobody would know how to switch off what is normal, or they would switch it off when it is over."""
    (first,), changes = told(RULES["GpuMemoryAlmostFull"], [full()])
    assert first.suggestion.splitlines() == [
        "rules:",
        "  - override: GpuMemoryAlmostFull",
        '    where: {uuid: "GPU-a"}',
        "    above: 0.94 # or: enabled: false",
        "    clear: 0.94",
    ]
    (resolved,), _ = told(RULES["GpuMemoryAlmostFull"], [full(0.5)], states_of(changes))
    assert resolved.suggestion == ""


def test_what_is_missing_is_said_without_numbers():
    """The mail would say "Value yes, Threshold absent yes"."""
    text = 'rules: [{alert: A, metric: gpu_info, where: {gpu: "0"}, absent: true, severity: info, summary: s}]'
    (rule,) = rules_of([parse(text, "own.yml")])
    (first,), changes = told(rule, [page()])
    assert view_of(first).facts[0] == ("Missing", 'gpu_info{gpu="0"}')
    assert {"Value", "Threshold"}.isdisjoint(dict(view_of(first).facts))
    (resolved,), _ = told(rule, [page(gpu_info=[(CARD, 1.0)])], states_of(changes))
    assert view_of(resolved).facts[0] == ("Published", 'gpu_info{gpu="0"}')


def test_an_age_is_never_negative():
    """A machine whose clock is ahead would mail that a card broke "-2 h 0 min ago"."""
    state = State(phase="firing", active_at=NOW, fired_at=NOW, value=-7200.0, seen_at=NOW)
    key = AlertKey("GpuXidHardware", label_set(CARD | OWN | {"xid": "79", "class": "hardware"}))
    change = Change(
        rule=RULES["GpuXidHardware"],
        key=key,
        previous=None,
        state=state,
        transition="fired",
        reason="for_elapsed",
        value=-7200.0,
        at=NOW,
    )
    (first,), _ = notifications([change], [], ["me@example.com"], lambda: "id")
    for mail in (first, replace(first, value=-7200.0)):
        text = render("firing.txt", view_of(mail))
        assert "XID 79, a hardware error, 0 ms ago" in text
        assert "before this mail" not in text
        assert " -2 h" not in text
        assert "(-" not in text
    plain = email.message_from_bytes(compose_plain(first, MailSettings()).data)
    assert "value: 0.0" in plain.get_payload(decode=True).decode()
