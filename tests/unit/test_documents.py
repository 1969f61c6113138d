from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwarden.documents import DocumentError, parse, read
from gpuwarden.structure import structure
from gpuwarden.units import Duration


@dataclass(frozen=True)
class Item:
    alert: str
    for_: Duration = Duration(0.0)  # noqa: RUF009 -- a number
    above: float | None = None
    severity: Literal["critical", "warning"] = "critical"
    where: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    rules: tuple[Item, ...]


def mistakes_in(text):
    with pytest.raises(DocumentError) as caught:
        structure(File, parse(text, "rules.yml"))
    return str(caught.value).splitlines()


def test_a_right_document_becomes_the_dataclass():
    """A rules file that the documentation shows would not load."""
    text = 'rules:\n  - {alert: A, for: 1m, above: 1, where: {gpu: "0"}, tags: [a]}\n'

    expected = File((Item("A", Duration(60), 1.0, "critical", {"gpu": "0"}, ("a",)),))

    assert structure(File, parse(text, "rules.yml")) == expected


def test_every_mistake_is_told_at_once_with_line_key_and_hint():
    """A user would mend a file one mistake per start."""
    text = """\
rules:
  - alert: 5
    for: 1 minute
    above: "90%"
    severity: critcal
    where: {gpu: 0}
    tags: abc
    fro: 1m
  - [1]
  - above: true
wat: 1
"""
    assert mistakes_in(text) == [
        'rules.yml:2: rules[0].alert: must be text, not a number: 5 (write "5")',
        "rules.yml:3: rules[0].for: '1 minute' is not a duration: write 30s, 5m, 1h30m",
        "rules.yml:4: rules[0].above: must be a number, not text: '90%' (write 0.9, without quotes)",
        "rules.yml:5: rules[0].severity: 'critcal' is not one of critical, warning (did you mean 'critical'?)",
        'rules.yml:6: rules[0].where.gpu: must be text, not a number: 0 (write "0")',
        "rules.yml:7: rules[0].tags: must be a list, not text",
        "rules.yml:8: rules[0].fro: is not a known key (did you mean 'for'?)",
        "rules.yml:9: rules[1]: must be a mapping, not a list",
        "rules.yml:10: rules[2].alert: is missing",
        "rules.yml:10: rules[2].above: must be a number, not true or false: True",
        "rules.yml:11: wat: is not a known key (known here: rules)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "f:2: a: is given twice, first in line 1"),
        ("a: [", "f:1: is not YAML: while parsing a flow node expected the node content"),
        ("&a [*a]", "f:1: [0]: is too large or refers to itself"),
        ("a: 2020-13-45", "f: holds a value that YAML cannot read"),
        ("a: 1\nb: \x00", "f:2: holds a character that YAML does not allow"),
        ("[" * 5000, "f: is nested too deeply"),
        ("a: 1\n---\nb: 2", "is not YAML: expected a single document"),
        ("{a: !!python/object:os.system x}", "could not determine a constructor"),
        ("? [1]\n: 2", "found unhashable key"),
        ('!!int ""', "holds a value that YAML cannot read"),
        ('!!timestamp "abc"', "holds a value that YAML cannot read"),
    ],
)
def test_text_that_is_no_document_is_refused_with_its_place(text, message):
    """A broken or hostile file would end in a traceback, or be half read."""
    with pytest.raises(DocumentError) as caught:
        parse(text, "f")

    assert message in str(caught.value)


@given(st.text())
def test_any_text_parses_or_is_refused(text):
    """Some odd file would crash the command instead of being refused."""
    try:
        parse(text, "f")
    except DocumentError as error:
        assert error.mistakes


def test_an_unreadable_file_is_named(tmp_path):
    """A wrong path on the command line would show a traceback."""
    (tmp_path / "latin1.yml").write_bytes(b"a: \xff")

    with pytest.raises(DocumentError, match=r"none\.yml: cannot be read: No such file"):
        read(tmp_path / "none.yml")
    with pytest.raises(DocumentError, match=r"latin1\.yml: is not UTF-8 text"):
        read(tmp_path / "latin1.yml")
