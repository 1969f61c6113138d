"""The page's clock on a real event loop: what makes it tick, and that nothing stops it."""

import asyncio
import logging
import threading
import time

from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.snapshot import Gpu, Snapshot

HOURS = 3600.0


class Latest:
    """What the sampler would say."""

    def __init__(self, *gpus):
        self.gpus = gpus
        self.fails = False

    def __call__(self):
        if self.fails:
            raise ZeroDivisionError
        return Snapshot(self.gpus)


def card(read_at, power=100.0):
    return Gpu(index="0", uuid="GPU-a", read_at=read_at, power_watts=power)


def run(latest, visit, interval=HOURS):
    """Let the clock run while ``visit`` looks at it; ``until`` waits without keeping the loop from its work."""
    maker = PageMaker(latest, Observations(), interval=interval, version="1")

    async def until(reached):
        async with asyncio.timeout(10):
            while not reached():  # noqa: ASYNC110 -- what is waited for has no event
                await asyncio.sleep(0.001)

    async def main():
        clock = asyncio.create_task(maker.run())
        await asyncio.sleep(0)
        await visit(maker, until)
        clock.cancel()

    asyncio.run(main())


def test_a_reading_is_on_the_page_soon_after_it_landed():
    """Every scrape would show what was so an interval ago."""
    latest = Latest(card(time.monotonic(), power=100.0))

    async def visit(maker, until):
        first = maker.page()
        latest.gpus = (card(time.monotonic(), power=250.0),)
        thread = threading.Thread(target=maker.landed)
        thread.start()
        await until(lambda: maker.page() is not first)
        thread.join()
        assert maker.page().snapshot.gpus[0].power_watts == 250

    run(latest, visit)


def test_readings_that_land_together_make_one_page():
    """Each card of a box would cost a page of its own, every second."""
    latest, ticks = Latest(card(time.monotonic())), []

    async def visit(maker, until):
        for _ in range(3):
            before = maker.page()
            for _ in range(8):
                maker.landed()
            await until(lambda before=before: maker.page() is not before)
            ticks.append(maker.page())
        await asyncio.sleep(0)
        assert maker.page() is ticks[-1]

    run(latest, visit)
    assert len(set(map(id, ticks))) == 3


def test_readings_expire_when_no_source_ever_says_anything_again():
    """A box whose sampling threads are dead would show its last second for ever."""

    async def visit(maker, until):
        assert maker.page().snapshot.gpus[0].up
        await until(lambda: not maker.page().snapshot.gpus[0].up)
        assert maker.page().snapshot.gpus[0].power_watts is None

    run(Latest(card(time.monotonic())), visit, interval=0.1)


def test_a_reading_is_dropped_when_it_is_too_old_and_not_with_the_next_interval():
    """With a card read once an hour, a dead one would be shown for an hour too long."""

    async def visit(maker, until):
        read_at = maker.page().snapshot.gpus[0].read_at
        await until(lambda: not maker.page().snapshot.gpus[0].up)
        assert maker.page().made_at - read_at > 2 * HOURS

    run(Latest(card(time.monotonic() - 2 * HOURS - 0.2)), visit)


def test_the_clock_outlives_a_page_that_cannot_be_made_and_no_old_page_is_served(caplog):
    """One mistake in making a page would freeze it: a dead card would look alive until a restart."""
    latest = Latest(card(time.monotonic()))

    async def visit(maker, until):
        latest.fails = True
        maker.landed()
        await until(lambda: caplog.records)
        try:
            maker.page()
        except ZeroDivisionError:
            latest.fails = False
        assert not latest.fails
        maker.landed()
        await until(lambda: maker._page is not None)

    with caplog.at_level(logging.WARNING):
        run(latest, visit)
    assert [record.getMessage() for record in caplog.records] == ["the page cannot be made: ZeroDivisionError: "]


def test_a_source_that_lands_after_the_end_is_no_error():
    """A card that answers while the exporter ends would print a traceback."""
    maker = PageMaker(Latest(), Observations(), interval=1, version="1")
    maker.landed()

    async def main():
        clock = asyncio.create_task(maker.run())
        await asyncio.sleep(0)
        clock.cancel()

    asyncio.run(main())
    maker.landed()
