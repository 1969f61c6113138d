"""Rules as a Prometheus rule file, so that Prometheus judges them as ``evaluator`` does.

Each rule is one alerting rule; the parts into which overrides split an alert are several of one name. What its
expression means is told in ``prometheus_expressions``; where it cannot mean the same as here, in ``DIFFERENCES``.

promtool's lint calls rules of one name and severity duplicates. It means recording rules; these judge disjoint series.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from alerts.alert_labels import renamed
from alerts.prometheus_expressions import expression
from alerts.prometheus_texts import HEADER, ONE_LINE, annotations
from alerts.promql import WATCHDOG
from alerts.rule import Rule
from gpuwarden.units import format_duration

DIFFERENCES = """\
- A sample that is merely missing, without a stale marker, is bridged by Prometheus for its lookback (5 minutes);
  without Prometheus it is unknown at once. A scrape that fails, or that finds a series gone, writes markers.
- A target that is no longer configured, or a rule that changed so that a series is not its own any more, ends an alert
  with `resolved` in Prometheus; without it, in silence.
- A rule that is about another metric than when it fired is a new rule to the alerter, which forgets what fired.
  Prometheus holds that until it stands still for 5 minutes: give such a rule another name.
- The alerter judges at most 10,000 series of a rule and looks back on at most 20,000 series, and logs it beyond that.
- Prometheus knows what fires by ALERTS, which has no memory beyond the lookback: after a stop of more than 5 minutes a
  held alert is forgotten, and an alert between `clear` and the threshold must pass the threshold anew. After a shorter
  one an alert is first pending again; the stack starts Prometheus with `--rules.alert.for-grace-period=10s`, so that a
  short `for`, too, goes on where it stood.
- After its own start, a suspend or a step of the clock the alerter takes a window for unknown until it has watched the
  whole of it (for a prediction: half). Prometheus judges what samples it has.
- Through a window of more than 240 rounds the alerter keeps one sample for each 240th part of it. Prometheus keeps all.
- Prometheus 2 extrapolates a counter that begins inside a window, close to zero, a little further than Prometheus 3 and
  the alerter do.
- Prometheus 2 and 3 round the last digit of an average differently. The alerter's is exact where all readings are
  equal: what stays at the threshold is not past it.
- An `expr` is judged by Prometheus only.
- Behind Alertmanager a fall from critical to warning is two mails, RESOLVED and a WARNING that says what it was;
  without it, one. A warning that was told before the critical alert fired is not told again when that ends.
"""
"""Everything in which a rule under Prometheus may do something else than the alerter on its own, as a Markdown list.
The differential test (tests/contract) leaves out exactly this."""


def rule_file(rules: Sequence[Rule]) -> str:
    """The rule file for ``rules``, in their order, as YAML; the same rules give the same text."""
    alerts = [_alert(rule) for rule in rules]
    if all(rule.alert != WATCHDOG for rule in rules):
        alerts.insert(0, _watchdog())
    groups = {"groups": [{"name": "gpuwarden", "rules": alerts}]}
    return HEADER + yaml.dump(groups, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=ONE_LINE)


def _alert(rule: Rule) -> dict[str, Any]:
    times = {"for": rule.for_, "keep_firing_for": rule.keep_firing_for}
    return {
        "alert": rule.alert,
        "expr": expression(rule),
        **{key: format_duration(seconds) for key, seconds in times.items() if seconds},
        "labels": {"severity": rule.severity, **dict(rule.labels)},
        "annotations": annotations(rule, renamed(rule)),
    }


def _watchdog() -> dict[str, Any]:
    return {
        "alert": WATCHDOG,
        "expr": "vector(1)",
        "labels": {"severity": "none"},
        "annotations": {"summary": "Alerts get from Prometheus to the alerter; this one always fires"},
    }


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType] -- stubs


_Dumper.add_representer(str, _text)
