from dataclasses import replace

import pytest

from alerts.notify.digest import MOST_INCIDENTS, Pace, people_of, pieces_of, plan
from tests.golden.example_mails import FIRING, RESOLVED

NOW = FIRING.at
PACE = Pace(above=5, within=300, wait=30)
PEOPLE = people_of(FIRING)


def alerts(number, **changes):
    """So many incidents that were just decided."""
    names = [f"{changes.get('severity', 'a')[0]}{index:a>19}" for index in range(number)]
    return [replace(FIRING, id=name, incident=name, root=name, **changes) for name in names]


def planned(waiting, *ages, pace=PACE, now=NOW):
    """The plan when mails went out so many seconds ago."""
    return plan(waiting, {PEOPLE: [now - age for age in ages]}, pace, now)


def sizes(found):
    return [len(group) for group in found.groups]


@pytest.mark.parametrize(
    ("waiting", "ages", "groups", "waits"),
    [
        (0, (), [], None),
        (5, (), [1] * 5, None),
        (6, (), [6], None),
        (1, (1, 2, 3, 4), [1], None),
        (1, (31, 32, 33, 34, 35), [1], None),
        (3, (31, 32, 33, 34, 35), [3], None),
        (3, (2, 32, 33, 34, 35), [], 28),
        (6, (2,), [], 28),
        (6, (30,), [6], None),
    ],
)
def test_how_many_mails_a_burst_makes(waiting, ages, groups, waits):
    """A dead rack would bury its cause under a thousand mails, or a lonely alert would wait."""
    found = planned(alerts(waiting, severity="warning"), *ages)
    assert sizes(found) == groups
    assert found.again_at == (None if waits is None else NOW + waits)


def test_nothing_waits_for_longer_than_it_is_told_to():
    """Other mails to the same people, as the report of the morning, would hold an alert back again and again."""
    late = [replace(one, at=NOW - 29.5) for one in alerts(6)]
    assert planned(late, 2).again_at == NOW + 0.5
    assert sizes(planned(late, 2, now=NOW + 0.5)) == [6]


def test_zero_gathers_nothing():
    """Somebody who wants each mail by itself could not have it."""
    assert sizes(planned(alerts(50), *[1] * 50, pace=replace(PACE, above=0))) == [1] * 50


def test_each_recipients_mails_are_counted_by_themselves():
    """A flood for one team would delay the other's mail."""
    mine, theirs = alerts(6), alerts(2, recipients=("eve@example.com",), severity="info")
    found = plan([*mine, *theirs], {PEOPLE: [NOW - 1] * 9}, PACE, NOW)
    assert sizes(found) == [1, 1]
    assert found.again_at == NOW + 29


def test_the_same_people_in_other_words_are_the_same():
    """A digest would come twice because a name was written differently."""
    other = alerts(3, recipients=("Bob <bob@example.com>", "Ann <ann@example.com>"), severity="info")
    assert sizes(planned([*alerts(3), *other])) == [6]


def test_what_came_and_went_before_anybody_heard_is_one_mail():
    """People would get an alert and its all-clear in the same second."""
    found = planned([FIRING, RESOLVED, *alerts(1)])
    assert [[one.reason for one in group] for group in found.groups] == [["first", "resolved"], ["first"]]


def test_what_was_held_comes_in_one_mail_whatever_the_numbers():
    """The end of the quiet hours would ring as often as the night would have."""
    night = alerts(3, held_until=NOW - 1, severity="warning")
    fresh = alerts(2)
    assert sizes(planned([*night, *fresh])) == [3, 1, 1]
    assert sizes(planned(night, *[1] * 9)) == [3]
    assert sizes(planned(night[:1])) == [1]


def test_the_end_of_what_is_held_goes_with_it():
    """An all-clear from after the quiet hours would arrive before its alert."""
    first = replace(FIRING, held_until=NOW - 1)
    assert sizes(planned([first, RESOLVED, *alerts(1, held_until=NOW - 1)])) == [3]


def test_ten_thousand_incidents_make_fifty_mails_that_name_each():
    """The largest outage would make a mail that no server takes, or leave somebody's card out."""
    waiting = [*alerts(9990, severity="warning"), *alerts(10)]
    found = planned(waiting)
    assert len(found.groups) == 50
    assert all(len({one.incident for one in group}) <= MOST_INCIDENTS for group in found.groups)
    assert sorted(one.id for group in found.groups for one in group) == sorted(one.id for one in waiting)
    assert [one.severity for one in found.groups[0][:11]] == ["critical"] * 10 + ["warning"]


def test_a_digest_begins_with_the_gravest_that_still_fires():
    """The one card that is about to fail would stand below forty that are fine again."""
    warning, over = alerts(1, severity="warning")[0], replace(RESOLVED, id="r" * 20)
    lone = replace(alerts(1, severity="info")[0], id="i" * 20, incident="i" * 20)
    pieces = pieces_of([lone, over, warning, *alerts(1)])
    assert [piece[-1].severity for piece in pieces] == ["critical", "warning", "info", "critical"]
    assert pieces[-1] == (over,)
