import pytest

from alerts.matchers import contradict, matches, parse_matcher


@pytest.mark.parametrize(
    ("text", "accepted", "refused", "promql"),
    [
        ("0", ["0"], ["1", "", "00"], 'gpu="0"'),
        ("", [""], ["0"], 'gpu=""'),
        ("!0", ["1", ""], ["0"], 'gpu!="0"'),
        ("!", ["0"], [""], 'gpu!=""'),
        ("=~0|1", ["0", "1"], ["10", ""], 'gpu=~"0|1"'),
        ("=~a.b", ["a\nb"], ["xaxb"], 'gpu=~"a.b"'),
        ("!~0|1", ["2", ""], ["0", "1"], 'gpu!~"0|1"'),
        ("=~\\d", ["1"], ["\u0661"], 'gpu=~"\\\\d"'),
        ('a"b\\c\n', ['a"b\\c\n'], [], 'gpu="a\\"b\\\\c\\n"'),
    ],
)
def test_means_what_promql_means(text, accepted, refused, promql):
    """A rule judges other series here than in the generated Prometheus file."""
    matcher = parse_matcher("gpu", text)
    assert str(matcher) == promql
    assert [value for value in accepted if not matcher.accepts(value)] == []
    assert [value for value in refused if matcher.accepts(value)] == []


def test_absent_label_is_empty():
    """A matcher on a label that only some series have raises or picks the wrong ones."""
    assert matches([parse_matcher("container", "")], {"gpu": "0"})
    assert not matches([parse_matcher("container", "!")], {"gpu": "0"})


@pytest.mark.parametrize(
    "text",
    [
        "(",
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(a)\\1",
        "(?P<n>a)(?P=n)",
        "(?>a)",
        "a++",
        "a?+",
        "a\\Z",
        "[[:alpha:]]",
        "a" * 1001,
    ],
)
def test_refuses_what_re2_cannot_do(text):
    """A rule is accepted here and then Prometheus refuses the generated file, or reads it otherwise."""
    with pytest.raises(ValueError):
        parse_matcher("gpu", f"=~{text}")


@pytest.mark.parametrize("text", ["a\\+", "\\*+", "[+*]+", "[(?=]x", "\\\\1", "(?i)box.*", "(?P<n>a)", "(?:a|b)+?"])
def test_takes_what_re2_can_do(text):
    """A valid expression is refused."""
    parse_matcher("gpu", f"=~{text}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("0", "1", True), ("0", "0", False), ("0", "!0", True), ("0", "=~1|2", True), ("=~0", "=~1", False)],
)
def test_contradiction(one, other, expected):
    """Overrides for different cards multiply into rules that no series can meet."""
    assert contradict([parse_matcher("gpu", one), parse_matcher("gpu", other)]) is expected
    assert not contradict([parse_matcher("gpu", one), parse_matcher("uuid", other)])
