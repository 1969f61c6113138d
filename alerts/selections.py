"""Which series of an alert another one mutes, as label matchers for Alertmanager. Pure.

An override may take the mute from some series only. Alertmanager's matchers must all hold and cannot say "not both", so
the series outside of several groups of matchers are several selections. They are found by deciding one matcher after
the other: where it fails, every group that asks for it is out of the question; where it holds, the group needs the rest
of its matchers only, and all that ask for another value of that label are out. So groups that name single series make
about as many selections as there are groups, whatever their number of labels. Groups of several expressions can
multiply instead; beyond ``MOST_STEPS`` decisions that is an error.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from alerts.matchers import Matcher
from alerts.rule import Rule
from gpuwarden.errors import GpuwardenError

MOST_STEPS = 2000

Group = tuple[Matcher, ...]


class TooManySelectionsError(GpuwardenError, ValueError):
    """The overrides of an alert divide its series in too many ways."""


def selections(parts: Sequence[Rule], name: str) -> Iterator[Group]:
    """Of the alert whose rules are ``parts``, the series that the alert ``name`` mutes: those of all selections.

    Raises:
        TooManySelectionsError: they cannot be told in a bounded number.
    """
    if all(name in part.muted_by for part in parts):
        yield ()
        return
    steps = iter(range(MOST_STEPS))
    for part in parts:
        if name in part.muted_by:
            groups = [group for group in part.unless if _speaks(group, parts, name)]
            for matcher in part.where:
                groups = _where_holds(groups, matcher)
            yield from _outside(groups, part.where, steps)


def _speaks(group: Group, parts: Sequence[Rule], name: str) -> bool:
    """Whether some series of the group are not muted: else they may as well be selected."""
    return any(name not in part.muted_by and set(group) <= set(part.where) for part in parts)


def _outside(groups: list[Group], where: Group, steps: Iterator[int]) -> Iterator[Group]:
    waiting = [(groups, where)]
    while waiting:
        if next(steps, None) is None:
            message = f"more than {MOST_STEPS} steps"
            raise TooManySelectionsError(message)
        left, held = waiting.pop()
        if not left:
            yield _without_implied(held)
        elif all(left):  # else one group holds as a whole
            turn = _next(left)
            waiting.extend((_where_holds(left, found), (*held, found)) for found in (turn, turn.inverse))


def _next(groups: Sequence[Group]) -> Matcher:
    """What stands alone needs no second way; a plain value decides the other matchers of its label."""
    alone = {group[0] for group in groups if len(group) == 1}
    counted = Counter(matcher for group in groups for matcher in group)
    return max(counted, key=lambda matcher: (matcher in alone, matcher.operator == "=", counted[matcher]))


def _where_holds(groups: Sequence[Group], held: Matcher) -> list[Group]:
    """What is left of the groups: those that can still hold, each with the matchers that may still fail."""
    return [
        tuple(matcher for matcher in group if _decided(matcher, held) is None)
        for group in groups
        if all(_decided(matcher, held) is not False for matcher in group)
    ]


def _decided(matcher: Matcher, held: Matcher) -> bool | None:
    """Whether ``matcher`` holds wherever ``held`` does; None where that depends on the series."""
    if matcher.label != held.label:
        return None
    if matcher in {held, held.inverse}:
        return matcher == held
    if held.operator == "=":
        return matcher.accepts(held.value)
    if matcher.operator in {"=", "!="} and not held.accepts(matcher.value):
        return matcher.operator == "!="
    return None


def _without_implied(held: Group) -> Group:
    fixed = {matcher.label for matcher in held if matcher.operator == "="}
    return tuple(matcher for matcher in dict.fromkeys(held) if matcher.operator == "=" or matcher.label not in fixed)
