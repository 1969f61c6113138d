import math

from hypothesis import given
from hypothesis import strategies as st

from alerts.rule_test import parse_spans, spans_text
from alerts.rule_test_file import rule_tests
from alerts.rule_test_values import ValuesError, parse_values, written
from alerts.rule_tests import failures, run
from alerts.rules import SHIPPED, load_rules
from alerts.series_text import SeriesTextError, parse_series, series_text
from gpuwarden.documents import DocumentError, parse

RULES = load_rules(SHIPPED, ())
SAMPLES = st.lists(st.none() | st.floats() | st.sampled_from([0.0, 1.0]), min_size=1, max_size=30)


@given(SAMPLES)
def test_what_is_written_for_promtool_is_read_back(samples):
    """Prometheus is given other samples than the alerter, and the two are said to differ."""
    back = parse_values(written(samples))
    # Minus nought is nought to every comparison.
    assert [repr(None if value is None else value + 0) for value in back] == [
        repr(None if value is None else value + 0) for value in samples
    ]


@given(st.text(alphabet="0123456789.+-xeE_ staleNInf", max_size=30) | st.text(max_size=20))
def test_any_text_is_values_or_a_named_mistake(text):
    """A strange value ends the command with a traceback."""
    try:
        values = parse_values(text)
    except ValuesError as error:
        assert str(error)
    else:
        assert values
        assert all(value is None or isinstance(value, float) for value in values)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(0, 50))
def test_a_row_counts_as_promtool_does(first, step, times):
    """The last value of a row is missing, and the test of a rule is a step too short."""
    assert parse_values(f"{first}{step:+d}x{times}") == tuple(
        float(first + step * number) for number in range(times + 1)
    )


LABELS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), st.text(max_size=10), max_size=3)


@given(st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True).filter(lambda name: name not in {"on", "by"}), LABELS)
def test_series_are_read_back(name, labels):
    """A label's value reaches promtool as another one."""
    text = series_text(name, labels)
    if "__name__" not in text:
        assert parse_series(text) == (name, labels)


@given(st.text(alphabet='ab{}"=, \\n1', max_size=20))
def test_any_text_is_a_series_or_a_named_mistake(text):
    """A strange name ends the command with a traceback."""
    try:
        assert parse_series(text)[0]
    except SeriesTextError as error:
        assert str(error)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.sampled_from([0.1, 1.0, 15.0, 60.0, 240.0]))
def test_spans_are_read_back(fires, interval):
    """What the command says of a failed test cannot be written into it."""
    assert parse_spans(spans_text(fires, interval), interval, len(fires)) == tuple(fires)


KEYS = st.sampled_from(["tests", "interval", "name", "series", "firing"]) | st.text(max_size=5)
SERIES = st.sampled_from(["up", 'gpu_memory_used_ratio{gpu="0"}', 'gpu_up{gpu="0", instance="b"}', "foreign"])
VALUES = st.sampled_from(["0x5", "1", "0.95x20 _x3 stale", "_", "NaN 1", "1 0 1", "0.5+.1x9", "Infx2", "{{"])
ALERTS = st.sampled_from(["GpuMemoryAlmostFull", "TargetDown", 'TargetDown{instance="b"}', "GpuLost{gpu='0'}", "X"])
SPANS = st.sampled_from(["never", "0s..", "1m..3m, 5m..", "9m..2m", "soon"])
CASES = st.fixed_dictionaries(
    {"name": st.text(max_size=5)},
    optional={
        "series": st.dictionaries(SERIES | st.text(max_size=5), VALUES | st.text(max_size=5), max_size=3),
        "firing": st.dictionaries(ALERTS | st.text(max_size=5), SPANS | st.text(max_size=5), max_size=3),
    },
)
INTERVALS = st.sampled_from(["1m", "15s", "0", "1h", "soon"])
FILES = st.fixed_dictionaries({"tests": st.lists(CASES, max_size=2)}, optional={"interval": INTERVALS})
SCALARS = st.none() | st.booleans() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(FILES | ANYTHING)
def test_any_data_is_tests_or_named_mistakes(data):
    """A strange file of tests ends the command with a traceback."""
    import yaml

    document = parse(yaml.safe_dump(data, allow_unicode=False), "t.yml", as_written=True)
    try:
        tests = rule_tests(document, RULES)
    except DocumentError as error:
        assert error.mistakes
        assert all(mistake.message for mistake in error.mistakes)
        return
    for test in tests:
        fires = run(test, RULES)
        assert all(len(found) == len(test.times) for found in fires.values())
        assert all(str(failure).startswith("t.yml:") for failure in failures(test, fires))
        assert all(math.isfinite(now) for now in test.times)


@given(st.text(max_size=60))
def test_any_text_is_tests_or_named_mistakes(text):
    """A file that is not YAML ends the command with a traceback."""
    try:
        rule_tests(parse(text, "t.yml", as_written=True), RULES)
    except DocumentError as error:
        assert error.mistakes
