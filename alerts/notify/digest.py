"""Which of the waiting notifications go as mails of their own, which together, and which wait. Pure.

It works from the store alone: what waits, and when the last mails went to the same people. So a crash between two
steps changes nothing but the time.

1. What goes to the same people is looked at together; what else goes on does not count.
2. What is news of one incident is one piece: it fired and ended before anybody heard of it, and is told in one mail.
3. Up to ``above`` mails in ``within`` seconds go at once, each by itself. Beyond that all that waits goes as one mail,
   a digest: at once where the last mail was ``wait`` seconds ago or something has waited for so long, else then. So a
   burst costs one mail each ``wait`` seconds, and nothing waits for longer than that.
4. What was held by quiet hours goes in one digest when they end, whatever the numbers.
5. No mail overtakes an earlier one of its thread that goes to other people: what a rung is lowered to may be told to
   more of them. The earlier one goes before it then, in a digest with others for which that holds.
6. A digest names each of its incidents, the gravest ones in the first mail where ``MOST_INCIDENTS`` are not enough.

A group of one notification is a mail of its own; one of several is a digest, the gravest incident first and the news
of each in the order of decision.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.mail_settings import bare_address
from alerts.notify.notification import RANKS, Notification

MOST_INCIDENTS = 200
"""Named in one mail."""

Group = tuple[Notification, ...]
People = frozenset[str]
"""Those to whom a mail goes, by address."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much goes at once: see (3); ``above`` 0 gathers nothing but what was held."""

    above: int = 5
    within: float = 300.0
    wait: float = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``groups`` go now, ``again_at`` (Unix seconds) is when to look again for what waits, None where nothing does."""

    groups: tuple[Group, ...]
    again_at: float | None = None


def people_of(notification: Notification) -> People:
    """To whom it goes."""
    return frozenset(map(bare_address, notification.recipients))


def plan(waiting: Sequence[Notification], lately: Mapping[People, Sequence[float]], pace: Pace, now: float) -> Plan:
    """What goes now; ``waiting`` in the order of decision, none of it held any longer.

    ``lately`` says when (Unix seconds) mails went to the same people within ``pace.within``.
    """
    found: dict[People, list[Notification]] = defaultdict(list)
    for notification in waiting:
        found[people_of(notification)].append(notification)
    plans = [_plan(_pieces(mine), lately.get(people, ()), pace, now) for people, mine in found.items()]
    groups = tuple(group for one in plans for group in one.groups)
    overtaken = tuple(group for mine in _overtaken(waiting, groups).values() for group in _digests(_pieces(mine)))
    again_at = min((one.again_at for one in plans if one.again_at is not None), default=None)
    return Plan((*overtaken, *groups), again_at)


def gravest(group: Group) -> tuple[int, int]:
    """What a digest tells first sorts first: what fires, the gravest of it, then what is over."""
    return int(group[-1].reason == "resolved"), min(RANKS[one.severity] for one in group)


def pieces_of(notifications: Sequence[Notification]) -> list[Group]:
    """The incidents of a digest, the gravest first; each with its notifications in order."""
    return sorted(_pieces(notifications), key=gravest)


def _overtaken(waiting: Sequence[Notification], going: Sequence[Group]) -> dict[People, list[Notification]]:
    """What is to wait, by people, though something later of its thread goes."""
    goes = {one.id for group in going for one in group}
    last = {one.root: number for number, one in enumerate(waiting) if one.id in goes}
    found: dict[People, list[Notification]] = defaultdict(list)
    for number, one in enumerate(waiting):
        if one.id not in goes and number < last.get(one.root, 0):
            found[people_of(one)].append(one)
    return found


def _plan(pieces: list[Group], lately: Sequence[float], pace: Pace, now: float) -> Plan:
    held = [piece for piece in pieces if any(one.held_until for one in piece)]
    fresh = [piece for piece in pieces if not any(one.held_until for one in piece)]
    groups = _digests(held)
    if not pace.above or not fresh or len(fresh) + len(lately) <= pace.above:
        return Plan((*groups, *fresh))
    oldest = min(one.at for piece in fresh for one in piece)
    next_at = min(max(lately, default=now - pace.wait), oldest) + pace.wait
    if next_at <= now:
        return Plan((*groups, *_digests(fresh)))
    return Plan(tuple(groups), next_at)


def _pieces(notifications: Sequence[Notification]) -> list[Group]:
    found: dict[str, list[Notification]] = defaultdict(list)
    for notification in notifications:
        found[notification.incident].append(notification)
    return [tuple(piece) for piece in found.values()]


def _digests(pieces: list[Group]) -> list[Group]:
    ordered = sorted(pieces, key=gravest)
    starts = range(0, len(ordered), MOST_INCIDENTS)
    return [tuple(one for piece in ordered[start : start + MOST_INCIDENTS] for one in piece) for start in starts]
