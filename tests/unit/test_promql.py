import pytest

from alerts.promql import quote, selected, selector


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("", '""'),
        ("box:9400 é {{ $x }} '`", '"box:9400 é {{ $x }} \'`"'),
        ('a"b\\c\n', r'"a\"b\\c\n"'),
        ("\x00\t\r\x1b\x7f", r'"\x00\x09\x0d\x1b\x7f"'),
        ("\ufffd", r'"\ufffd"'),
    ],
)
def test_any_text_is_one_literal(text, literal):
    """A label's text from outside ends its literal and becomes part of the query."""
    assert quote(text) == literal


@pytest.mark.parametrize(
    ("name", "matchers", "promql"),
    [
        ("gpu_up", (), "gpu_up"),
        ("gpu_up", ('a="1"', 'b="2"', 'a="1"'), 'gpu_up{a="1", b="2"}'),
        ("Group_Left", (), '{__name__="Group_Left"}'),
        ("sum", ('a="1"',), '{__name__="sum", a="1"}'),
    ],
)
def test_a_selector_of_any_metric(name, matchers, promql):
    """A metric that is called like a word of PromQL makes the query invalid."""
    assert selector(name, matchers) == promql


def test_series_without_others():
    """An operator beside the selection binds to a part of it."""
    assert selected(["a"]) == "a"
    assert selected(["a", "b", "c"]) == "(a unless b unless c)"
