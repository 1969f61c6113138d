import asyncio
import contextlib
from dataclasses import replace

import pytest

from alerts.artist import NoPictureError
from alerts.evidence.points import Points
from alerts.evidence.stage import MOST_PICTURES, EvidenceStage, Sources
from alerts.notify.notification import Link
from tests.golden.example_mails import FIRING, READINGS, RESOLVED
from tests.unit.test_webhook_composer import until

PNG = b"the picture"


class Known:
    """Readings of everything, after ``wait`` seconds."""

    def __init__(self, wait=0.0, error=None):
        self.wait, self.error, self.asked = wait, error, []

    async def points_of(self, notifications):
        self.asked += [notification.id for notification in notifications]
        await asyncio.sleep(self.wait)
        if self.error:
            raise self.error
        return {notification.id: READINGS for notification in notifications}


class Drawer:
    """Stands where the child process would."""

    is_prepared = False

    def __init__(self, wait=0.0, error=None):
        self.wait, self.error, self.drawn, self.open = wait, error, [], 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        self.open = 0

    async def draw(self, drawing, seconds):
        self.open = 1
        self.drawn.append(drawing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.sleep(self.wait)
                if self.error:
                    raise self.error
                return PNG
        message = "too late"
        raise NoPictureError(message)


def many(count, **changes):
    return [replace(FIRING, id=f"{number:020}", root=f"{number:020}", **changes) for number in range(count)]


def told(stage, notifications):
    """The notifications with their evidence, and their pictures."""

    async def story():
        found = await stage.enrich(notifications)
        pictures = [await stage.picture_of(item) for item in found]
        await stage.close()
        return found, pictures

    return asyncio.run(story())


def test_a_mail_gets_words_and_a_picture():
    """People would have to log in to see how it came to the alert."""
    drawer = Drawer()
    links = (Link("Status page", "http://gpubox:9400/"),)
    stage = EvidenceStage(Sources(points_of=Known().points_of, artist=lambda: drawer, links=lambda _: links))
    (found,), pictures = told(stage, [FIRING])

    assert pictures == [PNG]
    assert found.links == links
    assert found.peak == pytest.approx(0.974, abs=0.001)
    assert found.trend.startswith("rising")
    assert drawer.open == 0


def test_the_peak_is_never_better_than_the_value():
    """A mail would say "value 99 %, peak 97 %", and nobody would believe either."""
    (found,), _ = told(EvidenceStage(Sources(points_of=Known().points_of)), [replace(FIRING, value=0.99)])
    assert found.peak == 0.99


def test_what_was_known_when_it_was_decided_stays():
    """A peak of hours ago, which nobody else remembers, would give way to that of the last hour."""
    (found,), _ = told(EvidenceStage(Sources(points_of=Known().points_of)), [replace(FIRING, peak=0.999)])
    assert found.peak == 0.999


def test_a_resolved_mail_has_no_trend():
    """The mail that says that all is well would say that it goes up."""
    (found,), _ = told(EvidenceStage(Sources(points_of=Known().points_of)), [RESOLVED])
    assert found.trend == ""


def test_without_any_source_the_mail_goes_as_it_is():
    """Behind an Alertmanager alone no mail would go out."""
    assert told(EvidenceStage(Sources()), [FIRING]) == ([FIRING], [None])


def test_slow_evidence_holds_nothing_back():
    """A Prometheus that hangs would keep back the alert about it."""

    async def enrich(_):
        await asyncio.sleep(60)
        return []

    stage = EvidenceStage(Sources(points_of=Known(60.0).points_of, enrich=enrich, artist=Drawer), seconds=0.3)
    assert told(stage, [FIRING]) == ([FIRING], [None])


def test_a_slow_source_does_not_cost_what_the_other_knows():
    """The holders would be missing from the mail because its picture is."""

    async def enrich(notifications):
        return [replace(item, host="trainer") for item in notifications]

    (found,), _ = told(EvidenceStage(Sources(points_of=Known(60.0).points_of, enrich=enrich), seconds=0.3), [FIRING])
    assert found.host == "trainer"


@pytest.mark.parametrize("where", ["series", "enrich"])
def test_a_fault_of_ours_costs_only_the_evidence(where, caplog):
    """A mistake in what is an extra would stop every mail."""

    async def enrich(_):
        raise RuntimeError

    sources = Sources(points_of=Known(error=RuntimeError()).points_of) if where == "series" else Sources(enrich=enrich)
    assert told(EvidenceStage(sources), [FIRING]) == ([FIRING], [None])
    assert "a fault of ours" in caplog.text


def test_slow_pictures_hold_nothing_back():
    """A machine under load, which is when alerts come, would keep its mails back."""
    drawer = Drawer(wait=60.0)
    found, pictures = told(
        EvidenceStage(Sources(points_of=Known().points_of, artist=lambda: drawer), seconds=0.3), many(5)
    )
    assert (len(found), pictures) == (5, [None] * 5)
    assert len(drawer.drawn) == 1


def test_of_many_alerts_the_gravest_have_pictures():
    """A thousand alerts at once would be a thousand drawings, or the critical ones would be without."""
    known, drawer = Known(), Drawer()
    stage = EvidenceStage(Sources(points_of=known.points_of, artist=lambda: drawer))
    grave = [replace(item, id=f"grave{number:015}") for number, item in enumerate(many(3))]
    found, pictures = told(stage, [*many(500, severity="info"), *grave])

    assert len(found) == 503
    assert len(known.asked) == sum(map(bool, pictures)) == MOST_PICTURES
    assert pictures[-3:] == [PNG] * 3


def test_pictures_that_fail_are_said_once_and_their_return_too(caplog):
    """The log would fill with what nobody can help, or never say that matplotlib is missing."""
    caplog.set_level("INFO")
    drawer = Drawer(error=NoPictureError("No module named matplotlib"))
    stage = EvidenceStage(Sources(points_of=Known().points_of, artist=lambda: drawer))
    assert told(stage, many(3))[1] == [None] * 3
    assert told(stage, many(3))[1] == [None] * 3
    drawer.error = None
    assert told(stage, [FIRING])[1] == [PNG]
    assert [record.getMessage() for record in caplog.records] == [
        "mails go out without pictures: No module named matplotlib",
        "mails have pictures again",
    ]


def test_what_says_nothing_is_not_drawn():
    """A machine with one reading would have an empty frame in its mail."""
    drawer = Drawer()
    known = Known()
    stage = EvidenceStage(Sources(points_of=known.points_of, artist=lambda: drawer))
    assert told(stage, [replace(FIRING, comparison="absent", value=None)])[1] == [None]
    assert drawer.drawn == []


def test_a_later_batch_forgets_the_one_before():
    """Pictures would pile up in memory, or stand in the wrong mail."""
    stage = EvidenceStage(Sources(points_of=Known().points_of, artist=Drawer))

    async def story():
        await stage.enrich([FIRING])
        await stage.enrich([RESOLVED])
        found = await stage.picture_of(FIRING), await stage.picture_of(RESOLVED)
        await stage.close()
        return found

    assert asyncio.run(story()) == (None, PNG)


def test_what_takes_long_once_is_done_at_the_start():
    """On a desk with thousands of fonts no picture would ever come in time."""
    drawer = Drawer()
    asyncio.run(EvidenceStage(Sources(artist=lambda: drawer)).prepare())
    assert len(drawer.drawn) == 1
    drawer.is_prepared = True
    asyncio.run(EvidenceStage(Sources(artist=lambda: drawer)).prepare())
    assert len(drawer.drawn) == 1
    asyncio.run(EvidenceStage(Sources()).prepare())


def test_a_fault_in_what_is_done_at_the_start_ends_nothing(caplog):
    """A folder of fonts that cannot be read would end the alerter at each start, and nobody would get a mail."""
    drawer = Drawer(error=PermissionError("fonts"))
    asyncio.run(EvidenceStage(Sources(artist=lambda: drawer)).prepare())
    assert "mails may go out without pictures" in caplog.text


def test_an_alert_without_readings_has_links():
    """The mail about a dead machine would point nowhere."""

    class Nothing:
        async def points_of(self, _):
            return {FIRING.id: Points()}

    links = (Link("Status page", "http://gpubox:9400/"),)
    (found,), pictures = told(
        EvidenceStage(Sources(points_of=Nothing().points_of, artist=Drawer, links=lambda _: links)), [FIRING]
    )
    assert (found.links, found.trend, pictures) == (links, "", [None])


def test_the_process_that_draws_ends_with_its_time():
    """Eighty megabytes would stay with the alerter from the first alert on."""
    drawer = Drawer()
    stage = EvidenceStage(Sources(points_of=Known().points_of, artist=lambda: drawer), seconds=0.2)

    async def story():
        await stage.enrich([FIRING])
        assert await stage.picture_of(FIRING) == PNG
        await until(lambda: not drawer.open)

    asyncio.run(story())


def test_what_nobody_asks_for_is_not_drawn():
    """A digest of twenty alerts would cost twenty pictures that nobody sees."""
    drawer = Drawer()
    stage = EvidenceStage(Sources(points_of=Known().points_of, artist=lambda: drawer))

    async def story():
        await stage.enrich(many(20))
        await stage.close()

    asyncio.run(story())
    assert drawer.drawn == []
