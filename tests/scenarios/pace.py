"""How fast a scenario is played: every span that decides something shrinks alike, so the same limits are crossed.

At scale 1 nothing is changed: rules as shipped, Prometheus and Alertmanager as in the stack. Below, every span is
multiplied by the scale: ``for`` and ``keep_firing_for``, Prometheus's lookback, what it waits before it sends an alert
again (four times that is when Alertmanager takes an alert for ended), Alertmanager's ``group_interval``, and the
outage. Not multiplied:

- How often pages are read and rules judged is never below ``_SHORTEST_INTERVAL``, and ``for`` never below
  ``_SHORTEST_FOR``: a process takes a moment to start, and that moment does not shrink.
- What is written in the product's code and cannot be set: the waits of ``gpuwarden up``, the tolerances of the webhook.
  For those there is scale 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from gpuwarden.units import format_duration, parse_duration

INTERVAL, SAMPLE = 5.0, 1.0
"""Seconds as shipped: between visits and rounds, and between the exporter's readings."""
_SHORTEST_INTERVAL, _SHORTEST_SAMPLE, _SHORTEST_FOR = 0.25, 0.2, 2.0
_SPANS_OF_A_ROUTE = frozenset({"group_wait", "group_interval", "repeat_interval"})


@dataclass(frozen=True, slots=True)
class Pace:
    """``scale`` 1 is as it happens, 0.01 a hundred times as fast."""

    scale: float

    def span(self, seconds: float) -> float:
        """So many seconds of the story, in seconds of the clock."""
        return seconds * self.scale

    @property
    def interval(self) -> float:
        return max(self.span(INTERVAL), _SHORTEST_INTERVAL)

    @property
    def sample(self) -> float:
        return max(self.span(SAMPLE), _SHORTEST_SAMPLE)

    def rules(self) -> str:
        """A rules file on top of the shipped ones: their spans scaled, and off what is no part of a scenario.

        That is what rules say of the machine on which it is played, and of the two alerters, of which each road has
        its own. A rule that looks back over a window is played at scale 1 only: its window is no span of waiting.
        """
        shipped = {rule.alert: self._override(rule) for rule in load_rules(SHIPPED, [])}
        return yaml.safe_dump({"rules": [entry for entry in shipped.values() if len(entry) > 1]}, sort_keys=False)

    def _override(self, rule: Rule) -> dict[str, Any]:
        named: dict[str, Any] = {"override": rule.alert}
        played = rule.metric == "up" or rule.metric.startswith(("gpu_", "gpuwarden_exporter_"))
        if not played or (rule.window and self.scale != 1):
            return {**named, "enabled": False}
        if self.scale == 1:
            return named
        shortest = min(rule.for_, _SHORTEST_FOR)
        return {
            **named,
            "for": format_duration(max(self.span(rule.for_), shortest)),
            "keep_firing_for": format_duration(self.span(rule.keep_firing_for)),
        }

    def route(self, route: Mapping[str, Any]) -> dict[str, Any]:
        """One route of an Alertmanager configuration, with those below it."""
        scaled = {
            key: self.written(value) if key in _SPANS_OF_A_ROUTE else value
            for key, value in route.items()
            if key != "routes"
        }
        below = [self.route(found) for found in route.get("routes", ())]
        return {**scaled, **({"routes": below} if below else {})}

    def written(self, duration: str) -> str:
        """A duration of a configuration file; what would round to nothing stays a millisecond."""
        seconds = parse_duration(duration)
        return format_duration(max(self.span(seconds), 0.001)) if seconds else duration
