import pytest

from alerts.expressions import ExpressionError
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


REFUSED = {
    "(?x)a # b": "flags",
    "(?a)a": "flags",
    "(?m)a": "flags",
    "(?s-x:a)": "flags",
    "a(?!b)": "'!~'",
    r"\u0041": r"\xHH",
    r"[\u0041]": r"\xHH",
    r"\U00000041": r"\xHH",
    r"\x4": r"\xHH",
    r"\p{L}": r"\xHH",
    "a\\é": "leave out the backslash",
    "[\\é]": "leave out the backslash",
    "(?P<é>a)": "ASCII",
    r"[\b]": r"\xHH",
    r"[\1]": r"\xHH",
    r"[^],\[\b]": r"\xHH",
    r"\0": r"\xHH",
    r"\12": r"\xHH",
    r"a\z": "anchored",
    "a[b[:alpha:]]": r"\[",
    "a{1001}": "multiplied",
    "a{0,1001}": "multiplied",
    "a{10000}": "from 0 to 1000",
    "a{02}": "without zeros",
    "a{,5}": "{0,",
    "a{,}": "{0,",
    "(a{500}){500}": "multiplied",
    "(?:(a{11}b){10}|c)*(?:(?:a{10}){10,}){11}": "multiplied",
    "a{2}{3}": "(?:...)",
    "a*+": "(?:...)",
    "(?i)ä": "both cases",
    "(?i:a)|\\xe4": "both cases",
    "(" * 101 + ")" * 101: "",
    "[a": "",
    "a\\": r"\xHH",
    "a)": "",
}


@pytest.mark.parametrize(("text", "hint"), REFUSED.items())
def test_says_what_to_write_where_prometheus_reads_otherwise(text, hint):
    """Prometheus refuses the whole generated file for one expression, or judges other series than we do."""
    with pytest.raises(ExpressionError) as caught:
        parse_matcher("gpu", f"=~{text}")
    assert hint in caught.value.hint
    assert bool(hint) is bool(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        (r"a\sb", ["a b", "a\nb"], ["a\vb"]),
        (r"a[\s]b", ["a b"], ["a\vb"]),
        (r"[\Sx]", ["\v", "a"], [" "]),
        (r"[^\S]", [" "], ["\v", "a"]),
        ("a$\n?", ["a"], ["a\n"]),
        (r"\B", [""], []),
        ("(?i)a{2,3}[b-d]", ["AaC"], ["aB"]),
        ("a{x}{", ["a{x}{"], []),
        (r"\x41\.[]\-]", ["A.]", "A.-"], ["A.a"]),
        ("(?P<n>a)(?-s:.)", ["ab"], ["a\n"]),
    ],
)
def test_reads_an_expression_as_re2_does(text, accepted, refused):
    """A rule judges other series here than in Prometheus, by a difference between the two engines."""
    matcher = parse_matcher("gpu", f"=~{text}")
    assert [value for value in accepted if not matcher.accepts(value)] == []
    assert [value for value in refused if matcher.accepts(value)] == []


def test_the_name_of_a_metric_is_no_label():
    """The generated file selects a metric by two names, and Prometheus refuses it."""
    with pytest.raises(ExpressionError, match="own name"):
        parse_matcher("__name__", "gpu_up")


@pytest.mark.parametrize("text", ["a\ufffd", "!~\ufffd"])
def test_refuses_the_replacement_character(text):
    """Prometheus takes the rule and then fails at each evaluation, so that nothing is judged."""
    with pytest.raises(ExpressionError, match=r"U\+FFFD"):
        parse_matcher("gpu", text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("0", "1", True), ("0", "0", False), ("0", "!0", True), ("0", "=~1|2", True), ("=~0", "=~1", False)],
)
def test_contradiction(one, other, expected):
    """Overrides for different cards multiply into rules that no series can meet."""
    assert contradict([parse_matcher("gpu", one), parse_matcher("gpu", other)]) is expected
    assert not contradict([parse_matcher("gpu", one), parse_matcher("uuid", other)])


@pytest.mark.parametrize("text", ["a", "!a", "=~a|b", "!~a|b", "", "!"])
def test_the_inverse_accepts_what_the_matcher_does_not(text):
    """A series is judged by two parts of an alert that overrides split, or by none."""
    matcher = parse_matcher("gpu", text)
    assert all(matcher.inverse.accepts(value) is not matcher.accepts(value) for value in ("", "a", "b", "c"))
    assert matcher.inverse.inverse == matcher
