"""Alerts that Alertmanager has stopped to post: what becomes of them, by what it says when it is asked. Pure.

Alertmanager posts what fires again every ``repeat_interval``, and an end once. An alert that ends under a silence or an
inhibition, or while Alertmanager is killed, is never posted as resolved, and would fire here for ever. So it is asked:

- about an alert that it has not posted for ``ask_after``, which is longer than ``repeat_interval``;
- about those that were open when this process started, until they are posted;
- about one that came and went (``flapping``), before it is told that it still fires or is over.

===========================  ============================================================================
Alertmanager                 what follows
===========================  ============================================================================
has it, active               as if it had been posted: seen again, or told as a new run
has it, silenced, inhibited  nothing: it would be posted when that ends
or not yet looked at
does not have it (1, 2)      closed without a mail (``gone_from_alertmanager``)
cannot be asked              nothing
===========================  ============================================================================

1. In every look of ``settle`` seconds. An alert that has just ended is not in its list any more while the post of its
   end is still to come, by ``group_interval`` or after a 503 of ours; that post brings the RESOLVED mail.
   One that came and went and is over for us is confirmed to be.
2. And Alertmanager has itself been up for so long. It keeps alerts in memory only: after a start its list is empty
   until Prometheus has told it everything again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from alerts.judge import Change
from alerts.judge_post import judge_post
from alerts.posted_identity import find_rule, identify
from alerts.rule import Rule
from alerts.state import AlertKey, State
from alerts.webhook import Post, PostedAlert

SETTLE_SECONDS = 600.0
"""Longer than Alertmanager's default ``group_interval`` of five minutes."""


@dataclass(frozen=True, slots=True)
class Look:
    """What Alertmanager holds of the alerts that it was asked about; ``up_since`` in Unix seconds."""

    active: tuple[PostedAlert, ...]
    quiet: tuple[PostedAlert, ...]
    up_since: float


def overdue(states: Mapping[AlertKey, State], now: float, ask_after: float, started_at: float) -> set[AlertKey]:
    """The alerts that Alertmanager is to be asked about; ``started_at`` is when this process began."""
    return {
        key
        for key, state in states.items()
        if state.phase == "firing" and (now - state.seen_at > ask_after or state.seen_at < started_at)
    }


def reconciled(
    look: Look,
    asked: Collection[AlertKey],
    missing: Mapping[AlertKey, float],
    rules: Sequence[Rule],
    states: Mapping[AlertKey, State],
    *,
    now: float,
    settle: float,
) -> tuple[list[Change], dict[AlertKey, float]]:
    """The changes to what was ``asked`` about, and since when Alertmanager has lacked what stays.

    ``missing`` is the latter after the look before; times in Unix seconds.
    """
    seen, _ = judge_post(Post(look.active), rules, states, {}, now)
    held = {identify(alert, rules, states)[0] for alert in (*look.active, *look.quiet)}
    lacked = {key: missing.get(key, now) for key in asked if key in states and key not in held}
    gone = [key for key, since in lacked.items() if now - max(since, look.up_since) >= settle]
    changes = [change for change in seen if change.key in asked]
    changes += [_gone(key, states[key], rules, now) for key in sorted(gone)]
    return changes, {key: since for key, since in lacked.items() if key not in gone}


def confirmed_over(
    look: Look,
    calming: Collection[AlertKey],
    rules: Sequence[Rule],
    states: Mapping[AlertKey, State],
    *,
    now: float,
    settle: float,
) -> set[AlertKey]:
    """Those ``calming`` down that are over for us, and for Alertmanager too."""
    if now - look.up_since < settle:
        return set()
    held = {identify(alert, rules, states)[0] for alert in (*look.active, *look.quiet)}
    return {key for key in calming if key not in states and key not in held}


def _gone(key: AlertKey, state: State, rules: Sequence[Rule], now: float) -> Change:
    return Change(
        rule=find_rule(rules, key.alertname, dict(key.labels)),
        key=key,
        previous=state,
        state=None,
        transition=None,
        reason="gone_from_alertmanager",
        value=None,
        at=now,
    )
