import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from alerts.artist import Artist, NoPictureError
from tests.golden.example_mails import DRAWINGS
from tests.polling import wait_until

DRAWING = DRAWINGS["pictured"]


def child(tmp_path, body):
    """A child that reads one request and then does as ``body`` says; with its environment in a file."""
    script = tmp_path / "child.py"
    script.write_text(
        "import json, os, sys, time, signal, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'environ')!r}).write_text(json.dumps(dict(os.environ)))\n"
        f"pathlib.Path({str(tmp_path / 'pids')!r}).open('a').write(f'{{os.getpid()}}\\n')\n"
        "for line in sys.stdin.buffer:\n"
        + "".join(f"    {text}\n" for text in body.splitlines())
        + "    sys.stdout.flush()\n"
    )
    return (sys.executable, str(script))


async def drawn(artist, seconds=10.0, count=1):
    async with artist:
        return [await artist.draw(DRAWING, seconds) for _ in range(count)]


def ended(tmp_path):
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), 10, "a child was left behind")


def test_one_child_draws_the_pictures_of_a_batch(tmp_path):
    """Each mail would wait for a library to be loaded, or there would be no picture in any."""
    first, second = asyncio.run(drawn(Artist(tmp_path / "fonts"), 60.0, 2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert Artist(tmp_path / "fonts").is_prepared
    assert not Artist(tmp_path / "other").is_prepared


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the process that draws failed"),
        ("sys.exit(3)", "the process that draws failed"),
        ("print('garbage')", "the process that draws failed"),
        ("print('[]')", "the process that draws failed"),
        ("print('[' * 100_000)", "the process that draws failed"),
        ("print('{\"bytes\": 4}\\nabcd')", "not a PNG"),
        ("print('{\"bytes\": 99999999999}')", "are no picture"),
        ("print('{\"bytes\": -1}')", "are no picture"),
        ('print(\'{"error": "ModuleNotFoundError: No module named matplotlib"}\')', "No module named matplotlib"),
        ("while True: print('x' * 10_000)", "the process that draws failed"),
    ],
)
def test_a_child_that_fails_costs_only_the_picture(tmp_path, body, words):
    """A fault of what draws would keep the mail back, or end the alerter."""
    with pytest.raises(NoPictureError, match=words):
        asyncio.run(drawn(Artist(tmp_path, child(tmp_path, body))))
    ended(tmp_path)


def test_a_child_that_hangs_is_killed(tmp_path):
    """A picture that never comes would keep the mail back, and its process would stay for ever."""
    body = "os.fork()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    with pytest.raises(NoPictureError, match=r"not drawn within 1\.0 s"):
        asyncio.run(drawn(Artist(tmp_path, child(tmp_path, body)), 1.0))
    ended(tmp_path)


def test_after_a_failure_the_next_picture_is_drawn(tmp_path):
    """One picture that cannot be drawn would cost all mails after it theirs."""
    flag = tmp_path / "flag"
    png = "b'\\x89PNG\\r\\n\\x1a\\n' + b'IEND\\xaeB`\\x82'"
    body = (
        f"flag = pathlib.Path({str(flag)!r})\n"
        "sys.exit(1) if flag.exists() and not flag.unlink() else None\n"
        f"sys.stdout.buffer.write(b'{{\"bytes\": 16}}\\n' + {png})"
    )
    flag.touch()

    async def story():
        async with Artist(tmp_path, child(tmp_path, body)) as artist:
            with pytest.raises(NoPictureError):
                await artist.draw(DRAWING, 10.0)
            return await artist.draw(DRAWING, 10.0)

    assert len(asyncio.run(story())) == 16
    ended(tmp_path)


def test_a_program_that_is_not_there_is_said(tmp_path):
    """An alerter whose interpreter was replaced under it would send no mail any more."""
    with pytest.raises(NoPictureError, match="No such file"):
        asyncio.run(drawn(Artist(tmp_path, (str(tmp_path / "nothing"),))))


def test_a_folder_that_cannot_be_written_costs_only_the_picture(tmp_path):
    """A full disk would stop the mail that tells of it."""
    (tmp_path / "file").touch()
    with pytest.raises(NoPictureError, match="the process that draws failed"):
        asyncio.run(drawn(Artist(tmp_path / "file" / "fonts")))


def test_the_child_sees_no_settings(tmp_path, monkeypatch):
    """A large library would get to see what only the alerter is to know."""
    monkeypatch.setenv("GPUWARDEN_ALERTER_MAIL_USERNAME", "me")
    with pytest.raises(NoPictureError):
        asyncio.run(drawn(Artist(tmp_path, child(tmp_path, "sys.exit(1)"))))
    seen = (tmp_path / "environ").read_text()
    assert "GPUWARDEN" not in seen
    assert str(tmp_path) in seen


def test_the_child_is_weak():
    """A library that goes wrong would take the memory and the processor from what it is to tell of."""
    import subprocess

    code = (
        "import alerts.plot, os, resource\n"
        "alerts.plot._stay_small()\n"
        "print(os.nice(0), resource.getrlimit(resource.RLIMIT_AS)[0])"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    nice, memory = map(int, found.stdout.split())
    assert nice >= min(19, os.nice(0) + 10)
    assert memory == 1 << 30
