"""Whatever overrides take a mute away or give it back, Alertmanager mutes the series that the alerter would."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.matchers import matches
from alerts.rules import rules_of
from alerts.selections import selections
from gpuwarden.documents import parse

GRAVE = "  - {alert: Grave, metric: gpu_memory_used_ratio, above: 0.9, severity: info, summary: s}\n"
VALUES = ("a", "b", "c")
SERIES = [dict(zip(("gpu", "uuid", "instance"), found, strict=True)) for found in itertools.product(VALUES, repeat=3)]
TEXTS = st.sampled_from(["a", "b", "c", "!a", "=~a|b", "=~.", "!~b|c"])
WHERE = st.dictionaries(st.sampled_from(["gpu", "uuid", "instance"]), TEXTS, max_size=3)
OVERRIDES = st.lists(
    st.tuples(WHERE, st.sampled_from(["muted_by: []", "muted_by: [Grave]", "above: 0.7", "enabled: false"])), max_size=5
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["[]", "[Grave]"]), OVERRIDES)
def test_the_selections_are_the_muted_series(muted_by, overrides):
    """Where Alertmanager judges, a card's warning would be hidden that its owner asked for, or mailed though muted."""
    text = (
        f"rules:\n{GRAVE}  - {{alert: Slight, metric: gpu_memory_used_ratio, above: 0.8, severity: info, summary: s,"
        f" muted_by: {muted_by}}}\n"
    )
    for where, change in overrides:
        words = ", ".join(f'{label}: "{value}"' for label, value in where.items())
        text += f"  - {{override: Slight, where: {{{words}}}, {change}}}\n"
    parts = [rule for rule in rules_of([parse(text, "rules.yml")]) if rule.alert == "Slight"]
    found = list(selections(parts, "Grave")) if parts else []
    for series in SERIES:
        judging = [part for part in parts if part.covers(series)]
        if judging:
            muted = any(matches(matchers, series) for matchers in found)
            assert muted == ("Grave" in judging[0].muted_by)
