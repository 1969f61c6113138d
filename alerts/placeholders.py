"""``{{ name }}`` in a rule's summary and action: plain substitution, nothing is computed."""

import re
from collections.abc import Mapping

MEANINGS = {
    "value": "what was read last, with its unit",
    "threshold": "the rule's number, with its unit",
    "host": "the machine's name, or its address where nobody knows the name",
}
"""Of the names that are not labels."""

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def placeholders(text: str) -> list[str]:
    """What stands between each pair of braces."""
    return [found.strip() for found in _PLACEHOLDER.findall(text)]


def is_closed(text: str) -> bool:
    """Whether no brace pair is left over."""
    rest = _PLACEHOLDER.sub("", text)
    return "{{" not in rest and "}}" not in rest


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Put the values in; a value is never looked at for further placeholders."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1].strip(), ""), text)
