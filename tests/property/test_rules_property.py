import itertools

from hypothesis import given
from hypothesis import strategies as st

from alerts.rules import load_rules, rules_of
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
        *("severity", "summary", "action", "enabled", "absent", "expr"),
    ]
)
LIKELY = st.sampled_from(
    [
        *("A", "B", "up", "gpu_up", "gpu_memory_used_ratio", "foreign", "ratio", "1m", "critical", "{{ gpu }}", "{{"),
        *(0.9, 0.5, 90, "0.9", "90%", True, {"gpu": "0"}, {"gpu": "=~("}, {"gpu": "=~0|1"}, {"x.y": 1}),
    ]
)
ENTRIES = st.dictionaries(KEYS | st.text(max_size=5), LIKELY | SCALARS, max_size=10)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


def documents(value):
    """Plain data as a document; JSON is YAML, but control characters and infinities are not JSON."""
    import yaml

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
