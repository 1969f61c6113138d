import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert_labels import in_alert, of_series
from alerts.rules import rules_of
from alerts.series import label_set
from gpuwarden.documents import parse

NAMES = ["alertname", "alertstate", "severity", "team", "gpu", "exported_job"]
ODD = [*NAMES, *(f"exported_{name}" for name in NAMES)]
LABELS = st.dictionaries(st.sampled_from(ODD), st.text("ab", min_size=1, max_size=2))
FOREIGN = "metric: m, unit: count, above: 5"


def rule(terms):
    (made,) = rules_of([parse(f"rules: [{{alert: A, {terms}, severity: info, summary: s}}]", "r.yml")])
    return made


@given(LABELS, st.booleans())
def test_a_series_is_known_again_by_its_alert(labels, with_team):
    """The same alert would be another one with Prometheus than without it, and its mails lack what the series says."""
    made = rule(f"{FOREIGN}, labels: {{team: vision}}" if with_team else FOREIGN)
    series = label_set(labels)
    shown = in_alert(made, series)
    assert shown["severity"] == "info"
    assert not with_team or shown["team"] == "vision"
    assert of_series(made, {**shown, "alertname": "A"}.items()) == series


@pytest.mark.parametrize(
    ("terms", "series", "alert"),
    [
        ("metric: gpu_ecc_errors_total, above: 5", {"severity": "x"}, {"exported_severity": "x"}),
        ("metric: gpu_ecc_errors_total, absent: true", {"job": "j"}, {"job": "j"}),
        (
            FOREIGN,
            {"severity": "x", "exported_severity": "y"},
            {"exported_severity": "x", "exported_exported_severity": "y"},
        ),
        (FOREIGN, {"exported_severity": "y"}, {"exported_exported_severity": "y"}),
        (FOREIGN, {"alertname": "B", "team": "a"}, {"exported_alertname": "B", "team": "a"}),
        (f"{FOREIGN}, labels: {{team: b}}", {"team": "a"}, {"exported_team": "a", "team": "b"}),
        ('expr: "m > 5"', {"exported_severity": "y"}, {"exported_severity": "y"}),
    ],
)
def test_what_a_label_is_called_in_the_alert(terms, series, alert):
    """A route or silence for an alert meets another label than the documented one."""
    assert in_alert(rule(terms), series.items()) == {**alert, "severity": "info"}


def test_a_label_has_one_name_whichever_part_of_the_rule_judges():
    """Two parts of an alert would take each other's alerts for their own, and Prometheus finds one twice and fails."""
    plain, night = rules_of(
        [
            parse(
                f"""
rules:
  - {{alert: A, {FOREIGN}, severity: info, summary: s}}
  - {{override: A, where: {{team: blue}}, labels: {{team: night}}}}
""",
                "r.yml",
            )
        ]
    )
    assert in_alert(plain, [("team", "red")]) == {"exported_team": "red", "severity": "info"}
    assert in_alert(night, [("team", "blue")]) == {"exported_team": "blue", "team": "night", "severity": "info"}
    assert of_series(plain, in_alert(plain, [("team", "red")]).items()) == (("team", "red"),)


def test_an_alert_without_a_rule_is_known_again_when_there_is_one():
    """A reload of the rules would leave an incident open for ever."""
    made = rule("metric: gpu_ecc_errors_total, above: 5")
    alert = in_alert(made, [("severity", "corrected"), ("gpu", "0")]).items()
    assert of_series(None, alert) == of_series(made, alert)
