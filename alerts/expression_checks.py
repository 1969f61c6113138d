"""Whether Prometheus can read the expressions that people write: its own promtool is asked, where there is one.

``rule_checks`` finds an expression that is not closed; the whole of PromQL only Prometheus knows. One expression that
it cannot read, and it refuses every rule of the file.
"""

from collections.abc import Iterable

from alerts.promtool import NoPromtoolError, refused
from alerts.rules import Part
from gpuwarden.documents import DocumentError


def unverified(parts: Iterable[Part]) -> str:
    """Ask about the expressions of all parts; says in one line how many nobody could ask about, empty for none.

    Raises:
        DocumentError: with every expression that promtool refuses.
        PromtoolError: promtool did not come to an end, or says nothing that can be read.
    """
    asked = [part for part in parts if part.rule.expr]
    try:
        said = refused([part.rule.expr for part in asked]) if asked else {}
    except NoPromtoolError:
        verb = "expression was" if len(asked) == 1 else "expressions were"
        return f"{len(asked)} {verb} not verified (no promtool here)"
    if said:
        found = ((asked[number].entry, words) for number, words in said.items())
        raise DocumentError(entry.mistake("expr", f"Prometheus cannot read this: {words}") for entry, words in found)
    return ""
