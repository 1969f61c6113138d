"""An Alertmanager configuration that hands every change of every alert to the alerter's webhook, soon and one by one.

Alertmanager keeps silences and high availability; recipients, texts, digests and delivery are the alerter's. So nothing
is grouped here (``group_by: ["..."]`` makes each alert a group of its own) and the first post does not wait. A later
change, or a post that failed with 5xx, waits for the next ``group_interval``. A post after ``repeat_interval`` may be
a repeat to the alerter, which decides when one is due, so that interval is the shortest after which anybody is told
again. The Watchdog is posted more often, since its silence means that the way is broken.

What a rule is ``muted_by`` inhibits it (``inhibit_rules``), on the labels that both have, as ``notify.mute`` does where
the alerter judges. An override may mute some series of an alert only, so each part of a rule says which alerts it
means (``selections``).

Every key stands in Alertmanager 0.22 and later.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml

from alerts.alert_labels import renamed
from alerts.matchers import Matcher
from alerts.prometheus_texts import HEADER
from alerts.promql import WATCHDOG
from alerts.rule import Rule
from alerts.rule_checks import shared_labels
from alerts.selections import selections
from gpuwarden.units import format_duration

DEFAULT_WEBHOOK = "http://alerter:9401/webhook"
RECEIVER = "gpuwarden"

_NEXT_CHANGE_SECONDS = 15.0
"""Not below 10 s: Alertmanager gives a webhook that long at least, and tries again within one interval."""
_REPEAT_SECONDS = 4 * 3600.0
_WATCHDOG_CHANGE_SECONDS = 30.0
_WATCHDOG_REPEAT_SECONDS = 60.0


def alertmanager_config(
    webhook_url: str, secret_file: str | None, rules: Sequence[Rule] = (), *, repeat_interval: float | None = None
) -> str:
    """The configuration for these rules as YAML; the same arguments give the same text.

    ``secret_file`` is the path, as Alertmanager sees it, of the secret that the webhook asks for (a bearer token); None
    sends none. ``repeat_interval`` is in seconds, None where nobody is told again.
    """
    inhibit_rules = list(_inhibit_rules(rules))
    config = {
        "route": {
            "receiver": RECEIVER,
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": format_duration(_NEXT_CHANGE_SECONDS),
            "repeat_interval": format_duration(repeat_interval or _REPEAT_SECONDS),
            "routes": [
                {
                    "matchers": [f'alertname="{WATCHDOG}"'],
                    "group_interval": format_duration(_WATCHDOG_CHANGE_SECONDS),
                    "repeat_interval": format_duration(_WATCHDOG_REPEAT_SECONDS),
                }
            ],
        },
        **({"inhibit_rules": inhibit_rules} if inhibit_rules else {}),
        "receivers": [{"name": RECEIVER, "webhook_configs": [_webhook(webhook_url, secret_file)]}],
    }
    return HEADER + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _webhook(url: str, secret_file: str | None) -> dict[str, Any]:
    webhook: dict[str, Any] = {"url": url, "send_resolved": True}
    if secret_file is not None:
        webhook["http_config"] = {"authorization": {"type": "Bearer", "credentials_file": secret_file}}
    return webhook


def _inhibit_rules(rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    named = {rule.alert: rule for rule in reversed(rules)}
    for alert in dict.fromkeys(rule.alert for rule in rules):
        parts = [rule for rule in rules if rule.alert == alert]
        for name in dict.fromkeys(name for part in parts for name in part.muted_by):
            shared = shared_labels(parts[0], named[name]) if name in named else None
            if shared is not None:
                yield from (_inhibit_rule(name, parts[0], found, shared) for found in selections(parts, name))


def _inhibit_rule(source: str, target: Rule, matchers: Iterable[Matcher], shared: Iterable[str]) -> dict[str, Any]:
    names = renamed(target)
    matched = (f"{names.get(found.label, found.label)}{found.operator}{_quoted(found.value)}" for found in matchers)
    return {
        "source_matchers": [f"alertname={_quoted(source)}"],
        "target_matchers": [f"alertname={_quoted(target.alert)}", *matched],
        "equal": sorted(names.get(label, label) for label in shared),
    }


def _quoted(text: str) -> str:
    """As Alertmanager reads it: it knows no other escapes."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'
