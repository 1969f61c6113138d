import itertools

import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.explain import condition, facts
from alerts.history import History
from alerts.judge import judge
from alerts.override_text import override_text
from alerts.prometheus_expressions import expression
from alerts.rules import load_rules, rules_of
from alerts.series import Sample, Scrape
from gpuwarden.documents import DocumentError, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(
    [
        *(
            "alert",
            "override",
            "metric",
            "unit",
            "where",
            "above",
            "below",
            "equals",
            "clear",
            "for",
            "keep_firing_for",
        ),
        *("severity", "summary", "action", "enabled", "absent", "expr", "over", "predict", "quantile", "least_count"),
        *("within", "older", "labels", "muted_by", "when_gone", "why", "skip_when"),
    ]
)
LIKELY = st.sampled_from(
    [
        *("A", "B", "up", "gpu_up", "gpu_memory_used_ratio", "foreign", "ratio", "1m", "critical", "{{ gpu }}", "{{"),
        *(
            "gpu_xid_errors_total",
            "gpu_xid_last_timestamp_seconds",
            "model_request_duration_seconds",
            "vector(1)",
            "hold",
        ),
        *(
            {"max": "10m"},
            {"increase": "5m"},
            {"rate": "1s"},
            {"max": "1h", "min": "1h"},
            ["A"],
            ["B", 1],
            {"team": "a"},
        ),
        *(0.9, 0.5, 90, "0.9", "90%", True, {"gpu": "0"}, {"gpu": "=~("}, {"gpu": "=~0|1"}, {"x.y": 1}),
    ]
)
ENTRIES = st.dictionaries(KEYS | st.text(max_size=5), LIKELY | SCALARS, max_size=10)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


def documents(value):
    """Plain data as a document; JSON is YAML, but control characters and infinities are not JSON."""
    return parse(yaml.safe_dump(value, allow_unicode=False), "x.yml")


@given(st.fixed_dictionaries({"rules": st.lists(ENTRIES, max_size=4)}) | VALUES)
def test_any_data_is_rules_or_named_mistakes(value):
    """A strange rules file ends the alerter with a traceback."""
    try:
        rules = rules_of([documents(value)])
    except DocumentError as error:
        assert error.mistakes
        assert all(mistake.message for mistake in error.mistakes)
    else:
        assert all(rule.comparison for rule in rules)
        assert all(facts(rule) and condition(rule) for rule in rules)


def near(entry):
    """An entry to which little is missing, so that most of its other keys are reached."""
    return {"alert": "A", "metric": "gpu_memory_used_ratio", "severity": "info", "summary": "s"} | entry


METRICS = st.sampled_from(
    [
        *("gpu_memory_used_ratio", "gpu_xid_errors_total", "gpu_xid_last_timestamp_seconds"),
        *("model_request_duration_seconds", "gpu_memory_used_peak_ratio", "up"),
    ]
)
WINDOWS = {
    "over": st.dictionaries(
        st.sampled_from(["increase", "rate", "max", "avg"]),
        st.sampled_from(["1s", "5m", "10m"]),
        min_size=1,
        max_size=2,
    ),
    "predict": st.sampled_from(["1m", "30m"]),
    "quantile": st.sampled_from([0.5, 0.99, 99]),
    "least_count": st.sampled_from([0, 5]),
}
COMPARED = {
    "above": st.sampled_from([0.5, 5]),
    "below": st.just(0.5),
    "within": st.sampled_from(["10m", "0s"]),
    "absent": st.booleans(),
    "clear": st.sampled_from([0.4, 0.6]),
}
OTHERS = {
    "for": st.sampled_from(["0s", "10m"]),
    "labels": st.just({"team": "a"}) | st.just({"gpu": "0"}),
    "when_gone": st.sampled_from(["hold", "end"]),
    "muted_by": st.sampled_from([["A"], ["B"], []]),
    "enabled": st.booleans(),
}
DEFINITIONS = st.fixed_dictionaries({"metric": METRICS}, optional=WINDOWS | COMPARED | OTHERS).map(near)
CHANGES = st.fixed_dictionaries({"override": st.just("A")}, optional=WINDOWS | COMPARED | OTHERS)


@given(DEFINITIONS, st.lists(CHANGES, max_size=2))
def test_what_is_accepted_can_be_judged_written_and_explained(definition, changes):
    """A combination of keys is accepted, and then the alerter fails on it, or Prometheus is given nonsense."""
    try:
        rules = rules_of([documents({"rules": [definition, *changes]})])
    except DocumentError as error:
        assert all(mistake.message for mistake in error.mistakes)
        return
    for rule in rules:
        samples = {"up": (Sample((("instance", "a"), ("job", "b")), 1.0),)}
        scrape = Scrape("http://a", "b", "a", 0.0, None, samples)
        history = History()
        history.take([rule], [scrape], 0.0, max_gap=120.0)
        judge([rule], [scrape], {}, 0.0, max_gap=120.0, history=history)
        assert "nan" not in expression(rule)
        assert "not a number" not in condition(rule)
        assert {"judges", "compares", "fires", "ends"} <= {fact.topic for fact in facts(rule)}
        original = rules_of(
            [documents({"rules": [definition, *changes, yaml.safe_load(override_text(rule))["rules"][0]]})]
        )
        assert original == rules


@given(st.text(max_size=60))
def test_any_text_is_rules_or_named_mistakes(tmp_path_factory, text):
    """A file that is not YAML ends the alerter with a traceback."""
    path = tmp_path_factory.mktemp("rules") / "x.yml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_rules(None, [path])
    except DocumentError as error:
        assert error.mistakes


TEXTS = st.sampled_from(["0", "1", "!0", "!", "", "=~0|1", "!~1|2"])
SCOPES = st.dictionaries(st.sampled_from(["gpu", "uuid", "instance"]), TEXTS, max_size=2)
BASE = {"alert": "A", "metric": "gpu_memory_used_ratio", "above": 0.5, "severity": "info", "summary": "s"}


@given(SCOPES, st.lists(st.tuples(SCOPES, st.integers(51, 99) | st.none()), max_size=4))
def test_overrides_apply_in_order_to_each_series(where, overrides):
    """A series is judged by two rules, by none, or by another number than the last override that means it."""
    entries = [BASE | {"where": where}]
    for scope, percent in overrides:
        change = {"enabled": False} if percent is None else {"above": percent / 100}
        entries.append({"override": "A", "where": scope} | change)
    try:
        rules = rules_of([documents({"rules": entries})])
    except DocumentError as error:
        assert all("no series of the rule" in mistake.message for mistake in error.mistakes)
        return
    (base,) = rules_of([documents({"rules": entries[:1]})])
    scopes = [rules_of([documents({"rules": [BASE | {"where": scope}]})])[0] for scope, _ in overrides]
    for values in itertools.product(["", "0", "1", "2"], repeat=3):
        labels = dict(zip(("gpu", "uuid", "instance"), values, strict=True))
        expected = 0.5 if base.covers(labels) else None
        for scope, (_, percent) in zip(scopes, overrides, strict=True):
            if expected is not None and scope.covers(labels):
                expected = None if percent is None else percent / 100
        found = [rule.threshold for rule in rules if rule.covers(labels)]
        assert found == ([] if expected is None else [expected])
