"""Whatever a process calls itself, its label is printable, short and on one line."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.processes.labels import MAX_LABEL, clean_label

ANY_TEXT = st.text(st.characters(codec=None), max_size=300) | st.binary(max_size=300)


@given(ANY_TEXT)
@example("x" * 10_000)
@example(b"\x00" * 10_000 + b"end")
@example("\ud800" * 200)
@example("a\r\nBcc: everybody@example.com")
@example("\u202egnp.exe")
@example('quote " backslash \\ brace }')
def test_a_label_is_always_fit_to_print(text):
    """A line break in a process name would forge a line of the page or a header of the mail."""
    label = clean_label(text)
    assert len(label) <= MAX_LABEL
    assert label == label.strip()
    label.encode()
    assert len(label.splitlines()) <= 1
    assert not [character for character in label if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not set(label) & set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


@given(ANY_TEXT, st.integers(1, 200))
def test_cleaning_twice_changes_nothing_more(text, limit):
    """Two places that clean must not disagree about the identity of a series."""
    once = clean_label(text, limit)
    assert clean_label(once, limit) == once
    assert len(once) <= limit


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=MAX_LABEL))
def test_an_ordinary_name_stays_as_it_is(text):
    """A name in any script is shown as its owner wrote it."""
    assert clean_label(text) == text


@given(st.text(st.characters(categories=["L"]), min_size=MAX_LABEL + 1))
def test_a_cut_is_visible(text):
    """A shortened name must not look like another program's whole name."""
    assert clean_label(text) == text[: MAX_LABEL - 1] + "…"
