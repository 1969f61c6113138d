import asyncio
import os

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gpuwarden.reports import REPORTS_TO, report


def application(answers):
    """An application whose readiness is the next of ``answers`` at each question."""

    async def ready(_):
        return PlainTextResponse("", status_code=answers.pop(0) if len(answers) > 1 else answers[0])

    async def status(_):
        return PlainTextResponse("2 of 2 GPUs\nanswer")

    return Starlette(routes=[Route("/-/ready", ready), Route("/status", status)])


def reported(app, monkeypatch):
    """The first line that a supervisor hears."""
    reading, writing = os.pipe()
    monkeypatch.setenv(REPORTS_TO, str(writing))

    async def main():
        task = asyncio.create_task(report(app))
        line = await asyncio.to_thread(os.read, reading, 4096)
        task.cancel()
        return line

    try:
        return asyncio.run(main())
    finally:
        os.close(reading)
        os.close(writing)


def test_the_supervisor_hears_nothing_before_the_child_is_ready(monkeypatch):
    """`gpuwarden up` would tell people to open a page that has nothing yet."""
    answers = [503, 503, 200]
    assert reported(application(answers), monkeypatch) == b"2 of 2 GPUs answer\n"
    assert answers == [200]


def test_without_a_supervisor_nothing_is_reported(monkeypatch):
    """A process by itself would write into a file that is not meant for it."""
    monkeypatch.delenv(REPORTS_TO, raising=False)
    asyncio.run(asyncio.wait_for(report(application([200])), 5))


def test_a_supervisor_that_is_gone_ends_the_reports(monkeypatch):
    """The child would end, or fill its log, because nobody listens."""
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setenv(REPORTS_TO, str(writing))
    asyncio.run(asyncio.wait_for(report(application([200])), 5))
    os.close(writing)
