"""10,000 alerts at once: decided in one commit, composed, kept and delivered to a mail server on this machine.

Beside it what aiosmtplib alone does with the same mails, in the same run: once with a connection for each mail, as most
programs send, and once over a single connection, which is as fast as one letter after the other can go. gpuwarden also
composes each mail, and waits for the disk before and after each delivery. Every server counts what it got.

``python -m tests.perf.ten_thousand_mails [MAILS]`` ends with 1 when a mail was lost or doubled.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import aiosmtplib

from alerts.compose_mail import compose
from alerts.composer import Composer
from alerts.mail_settings import MailSettings
from alerts.notify_settings import DigestSettings, NotifySettings
from alerts.outbox import Outbox
from alerts.smtp_transport import SmtpTransport
from alerts.store import Store
from tests.golden.example_mails import FIRING
from tests.in_force import in_force
from tests.polling import wait_until

MAILS = 10_000
CONNECTIONS = 2
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_REPORT_SECONDS = 5.0
NOT_GATHERED = NotifySettings(digest=DigestSettings(above=0))


def notifications(number):
    """``number`` alerts of different cards."""
    for index in range(number):
        identity = "".join(_LETTERS[index // 26**place % 26] for place in range(20))
        labels = (("gpu", str(index % 8)), ("instance", f"box{index // 8}:9400"), *FIRING.labels[2:])
        yield replace(
            FIRING,
            id=identity,
            incident=identity,
            root=identity,
            at=time.time(),
            labels=labels,
            recipients=("ann@example.com",),
        )


@contextlib.contextmanager
def sink(folder):
    """A counting server: its port, and afterwards its counts in the second element."""
    port_file, count_file = folder / "port", folder / "count"
    process = subprocess.Popen([sys.executable, "-m", "tests.perf.smtp_sink", str(port_file), str(count_file)])
    counts = {}
    try:
        wait_until(port_file.exists, 20, "the counting server did not start")
        yield int(port_file.read_text()), counts
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        counts.update(json.loads(count_file.read_text()))


def settings_for(port):
    return MailSettings(
        host="127.0.0.1",
        port=port,
        security="none",
        from_="gpuwarden <alerts@example.com>",
        to=("ann@example.com",),
        connections=CONNECTIONS,
    )


def resident():
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def mebibytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir()) / 2**20


async def gpuwarden(number, port):
    """Decide, compose and deliver as the alerter does; what it cost."""
    settings = settings_for(port)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        before = resident()
        began = time.monotonic()
        await store.call(store.commit_round, {}, list(notifications(number)))
        decided = time.monotonic()
        outbox = Outbox(store, SmtpTransport(settings), workers=lambda: settings.connections)
        told = asyncio.Event()
        told.set()
        composer = Composer(store, told, in_force(mail=settings, notify=NOT_GATHERED), outbox.wake)
        tasks = [asyncio.create_task(outbox.run()), asyncio.create_task(composer.run())]
        reported = began
        while outbox.attempts.outcomes["accepted"] < number:
            await asyncio.sleep(0.02)
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                counts = await store.call(store.counts)
                print(f"  ... {counts['accepted']} delivered, {counts['queued']} composed and waiting", file=sys.stderr)
        ended = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        size = await asyncio.to_thread(mebibytes_in, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"commit": decided - began, "seconds": ended - began, "before": before, "peak": peak, "file": size}


async def one_connection_each(letters, port):
    """Plain aiosmtplib, a connection for each mail, as many at a time as gpuwarden has."""
    waiting = iter(letters)

    async def work():
        for letter in waiting:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
                await client.sendmail("alerts@example.com", ["ann@example.com"], letter)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


async def one_connection(letters, port):
    """Plain aiosmtplib, one mail after the other over one connection."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        for letter in letters:
            await client.sendmail("alerts@example.com", ["ann@example.com"], letter)


def in_a_process(number, port):
    """Gpuwarden's part in a process of its own, so that its memory is its own."""
    code = (
        "import asyncio, json, sys; from tests.perf.ten_thousand_mails import gpuwarden;"
        "print(json.dumps(asyncio.run(gpuwarden(*map(int, sys.argv[1:])))))"
    )
    arguments = [sys.executable, "-c", code, str(number), str(port)]
    return json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout)


def measured(way, letters, port):
    began = time.monotonic()
    asyncio.run(way(letters, port))
    return time.monotonic() - began


def main() -> int:
    """Measure all three and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mails", nargs="?", type=int, default=MAILS)
    number = parser.parse_args().mails
    letters = [compose(item, settings_for(25)).data for item in notifications(number)]
    rows = []
    with tempfile.TemporaryDirectory() as base:
        for name in ("gpuwarden", "aiosmtplib, a connection each", "aiosmtplib, one connection"):
            folder = Path(base, name[:14] + str(len(rows)))
            folder.mkdir()
            print(f"{name} ...", file=sys.stderr)
            with sink(folder) as (port, counts):
                ours = in_a_process(number, port) if name == "gpuwarden" else None
                way = one_connection_each if "each" in name else one_connection
                seconds = ours["seconds"] if ours else measured(way, letters, port)
            rows.append((name, seconds, counts, ours))
    print(f"\n{number} mails of {len(letters[0])} bytes, {CONNECTIONS} connections; {os.cpu_count()} processors\n")
    print("|  | seconds | mails per second | received | lost | doubled | connections |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, seconds, counts, _ in rows:
        lost, doubled = number - counts["different"], counts["mails"] - counts["different"]
        print(
            f"| {name} | {seconds:.1f} | {number / seconds:.0f} | {counts['mails']} | {lost} | {doubled} |"
            f" {counts['connections']} |"
        )
    ours = rows[0][3]
    print(
        f"\ngpuwarden decided all in {ours['commit']:.1f} s; memory from {ours['before']:.0f} to at most"
        f" {ours['peak']:.0f} MiB, the state file {ours['file']:.0f} MiB."
    )
    return 0 if all(counts["different"] == counts["mails"] == number for _, _, counts, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
