"""What a child's pipes brought: what is taken from it, and that it stays small."""

import json
import math

import pytest

from exporter.latency.child_words import LAST_WORDS_BYTES, MARKER, MOST_OF_A_LINE, LastWords, Lines, clean, result, said
from exporter.workload import lines as told_by

OURS = {MARKER: 1, "event": "result", "outcome": "ok", "figures": {"seconds": 0.5}}


def heard(**changes):
    """The result that is taken from our line when some of its keys are others."""
    line = said(json.dumps(OURS | changes).encode())
    return line and result(line)


def test_both_ends_mark_their_lines_alike():
    """No run would ever have a result."""
    assert MARKER == told_by.MARKER


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_lines_come_whole_however_the_pipe_cuts_them(cut):
    """A result that arrives in two pieces would be lost."""
    text, lines = b"one\n\ntwo and more\nunended", Lines()
    found = [line for at in range(0, len(text), cut) for line in lines.add(text[at : at + cut])]

    assert found == [b"one", b"", b"two and more"]


def test_a_line_without_end_is_given_up_and_the_next_one_counts():
    """A program that writes without line ends would fill the exporter's memory, or swallow the result behind it."""
    lines, piece = Lines(), b"x" * 1000
    found = [line for _ in range(MOST_OF_A_LINE // 1000 + 2) for line in lines.add(piece)]
    assert not found
    assert len(lines._begun) <= MOST_OF_A_LINE
    assert list(lines.add(b"end\nnext\n")) == [b"next"]


def test_the_longest_line_is_kept():
    """A long result would be lost at the limit that is meant for garbage."""
    assert list(Lines().add(b"x" * MOST_OF_A_LINE + b"\n")) == [b"x" * MOST_OF_A_LINE]


@pytest.mark.parametrize("size", [1, 7, 1000, 10 * LAST_WORDS_BYTES])
def test_last_words_are_the_last(size):
    """What a crash says stands at the end of a long output."""
    words, text = LastWords(), "".join(f"{number} " for number in range(20_000)).encode()
    for at in range(0, len(text), size):
        words.add(text[at : at + size])

    assert words.text.endswith(" 19998 19999")
    assert LAST_WORDS_BYTES - 10 < len(words.text) <= LAST_WORDS_BYTES


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Loading weights",
        b'"gpuwarden_workload"',
        b'["gpuwarden_workload", "event", "result"]',
        b'{"gpuwarden_workload": 1, "event": "result"',
        b'{"gpuwarden_workload": 1, "event": ["result"]}',
        b'{"gpuwarden_workload": 1}',
        b'{"other": "gpuwarden_workload", "event": "result"}',
        b"gpuwarden_workload" + b"[" * 10_000,
        b'{"gpuwarden_workload": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"gpuwarden_workload": ' + b"9" * 10_000 + b"}",
        b'\xff\xfe{"gpuwarden_workload": 1, "event": "result"}',
    ],
)
def test_what_is_no_line_of_ours_is_passed_over(line):
    """A library's chatter would end the run, or the exporter's thread."""
    assert said(line) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "splendid"},
        {"outcome": 5},
        {"outcome": ["ok"]},
        {"outcome": None},
        {"outcome": "timeout"},
        {"figures": [1, 2]},
        {"figures": {}},
        {"figures": None},
    ],
    ids=str,
)
def test_a_result_that_cannot_be_relied_on_is_none(changes):
    """A run without figures would count as one that went well."""
    assert heard(**changes) is None


def test_numbers_that_are_none_are_absent():
    """NaN would reach a gauge of the page."""
    found = said(
        b'{"gpuwarden_workload": 1, "event": "result", "outcome": "ok",'
        b' "figures": {"a": NaN, "b": -Infinity, "c": 1e999, "d": [NaN, 1], "e": 0.5}}'
    )

    assert result(found).figures == {"a": None, "b": None, "c": None, "d": [None, 1], "e": 0.5}


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("out_of_memory", "out_of_memory"),
        ("ZeroDivisionError", "ZeroDivisionError"),
        ('x"} 1\n', "unnamed"),
        ("x" * 65, "unnamed"),
        ("größe", "unnamed"),
        (None, "unnamed"),
        (5, "unnamed"),
    ],
)
def test_a_reason_is_one_word(reason, word):
    """What a child says would become a label of any length and form."""
    assert heard(outcome="error", reason=reason).reason == word


def test_an_outcome_other_than_ok_needs_no_figures_and_keeps_what_it_has():
    """The peaks of a run that ended for want of memory would be lost."""
    assert heard(outcome="oom", reason="out_of_memory", figures=None).figures == {}
    assert heard(outcome="oom", reason="out_of_memory").figures == {"seconds": 0.5}


def test_a_good_run_has_no_reason_and_its_text_and_spec_have_their_types():
    """A list where a text is meant would break what prints it."""
    found = heard(reason="odd", detail=["x"], spec="gpt2")

    assert (found.reason, found.detail, found.spec) == ("", "", {})


def test_a_text_is_one_printable_line():
    """Control characters of a child's would reach a terminal through the log."""
    assert clean("a\x1b[31m red\r\n\tb\x00\u202e\x9bc") == "a [31m red b c"
    assert clean("x" * 10_000 + "end", 5) == "xxend"


def test_a_number_that_is_fine_stays_as_it_is():
    """A count would be published as a fraction, or the other way round."""
    figures = said(json.dumps(OURS | {"figures": {"n": 3, "x": 0.1, "yes": True, "no": None, "s": "t"}}).encode())

    assert result(figures).figures == {"n": 3, "x": 0.1, "yes": True, "no": None, "s": "t"}
    assert math.isclose(result(figures).figures["x"], 0.1)
