"""The ways in which a mail server misbehaves: who gets the mail about one alert, when, and what is reported.

The real alerter and the real Alertmanager are each told of the same alert by its own API, and each has a mail server of
its own that misbehaves in the same way for ten seconds, then behaves. What it refuses for good it goes on to refuse,
and a wrong certificate stays wrong. Three people are to be told. Both have their usual waits, but Alertmanager does not
wait for more alerts first (group_wait 0 s, group_interval 1 min), and gpuwarden gives a silent server up after five
seconds instead of two minutes.

``python -m tests.perf.smtp_misbehaviour`` takes under five minutes and ends with 1 when gpuwarden lost a mail.
"""

import argparse
import contextlib
import datetime as dt
import logging
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from tests.e2e.running import CLIENT, alerter, series, write
from tests.fakes.alertmanager_posts import LABELS, payload, posted
from tests.fakes.smtp.misbehaviour import MISBEHAVIOURS, PEOPLE
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until

ALERTMANAGER = "prometheus-alertmanager"
AT_ONCE = 5
MISBEHAVES_SECONDS, WATCHED_SECONDS = 10.0, 42.0
_SILENCE_SECONDS = "5s"
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Result:
    """What came of one alert by one program: copies and seconds until the first one by person, what it reports."""

    copies: Counter
    seconds: dict
    reported: str

    @property
    def who(self):
        missing = [person.partition("@")[0] for person in PEOPLE if not self.copies[person]]
        again = sum(self.copies.values()) - len(self.copies)
        told = "all" if not missing else "nobody" if len(missing) == len(PEOPLE) else f"not {' and '.join(missing)}"
        return f"{told}, {again} twice" if again else told

    @property
    def when(self):
        soonest, last = (f"{pick(self.seconds.values(), default=0):.0f}" for pick in (min, max))
        return "-" if not self.copies else f"{last} s" if soonest == last else f"{soonest} to {last} s"


def security_for(case, server):
    return "starttls" if case.server.get("security") == "stripped" else server.security


class Gpuwarden:
    """The real alerter behind a webhook."""

    name = "gpuwarden"

    def __init__(self, folder, case, server):
        mail = {
            "host": "127.0.0.1",
            "port": server.port,
            "security": security_for(case, server),
            "from": "gpuwarden@example.com",
            "to": list(PEOPLE),
            "timeout": _SILENCE_SECONDS,
        }
        if server.user:
            write(folder / "password", server.password)
            mail |= {"username": server.user, "password_file": str(folder / "password")}
        if server.ca_file.exists():
            mail["ca_file"] = str(server.ca_file)
        write(folder / "gpuwarden.yml", yaml.safe_dump({"alerter": {"judge": "alertmanager", "mail": mail}}))
        self.running = alerter(folder, "http://127.0.0.1:1")

    def __enter__(self):
        self.running.__enter__()
        self.url = self.running.url
        return self

    def __exit__(self, *error):
        self.running.__exit__(*error)

    def tell(self):
        body = payload(posted(start=time.time() - 5))
        answer = CLIENT.post(f"{self.url}/webhook", content=body, headers={"content-type": "application/json"})
        answer.raise_for_status()

    def reported(self):
        found = series(self.url)
        attempts = {dict(labels)["outcome"]: int(value) for labels, value in found[ATTEMPTS].items()}
        dead = found.get("gpuwarden_alerter_outbox_messages", {}).get((("state", "dead"),), 0)
        words = [f"{number} {outcome}" for outcome, number in sorted(attempts.items())]
        return ", ".join([*words, *([f"{dead:.0f} dead letters"] if dead else [])])


ATTEMPTS = "gpuwarden_alerter_attempts_total"


class Alertmanager:
    """The real Alertmanager with one receiver, which mails all three."""

    name = "Alertmanager"

    def __init__(self, folder, case, server):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        receiver = {
            "to": ", ".join(PEOPLE),
            "from": "alertmanager@example.com",
            "smarthost": f"127.0.0.1:{server.port}",
            "hello": "localhost",
            "require_tls": security_for(case, server) == "starttls",
        }
        if server.user:
            receiver |= {"auth_username": server.user, "auth_password": server.password}
        if server.ca_file.exists():
            receiver["tls_config"] = {"ca_file": str(server.ca_file)}
        route = {"receiver": "mail", "group_wait": "0s", "group_interval": "1m", "repeat_interval": "4h"}
        write(
            folder / "alertmanager.yml",
            yaml.safe_dump({"route": route, "receivers": [{"name": "mail", "email_configs": [receiver]}]}),
        )

    def __enter__(self):
        self.log = (self.folder / "log").open("ab")
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        files = [f"--config.file={self.folder / 'alertmanager.yml'}", f"--storage.path={self.folder / 'data'}"]
        self.process = subprocess.Popen(
            [ALERTMANAGER, *files, listen, "--cluster.listen-address="], stdout=self.log, stderr=self.log
        )
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: self._get("/-/ready") == 200, 30, "Alertmanager did not start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def _get(self, path):
        with contextlib.suppress(httpx.HTTPError):
            return CLIENT.get(f"{self.url}{path}").status_code
        return None

    def tell(self):
        started = dt.datetime.now(dt.UTC).isoformat()
        alert = {"labels": LABELS, "annotations": {"summary": "GPU 0 is full"}, "startsAt": started}
        CLIENT.post(f"{self.url}/api/v2/alerts", json=[alert]).raise_for_status()

    def reported(self):
        found = series(self.url)
        mine = (("integration", "email"),)
        requests = found["alertmanager_notification_requests_total"][mine]
        failed = found["alertmanager_notification_requests_failed_total"][mine]
        given_up = found["alertmanager_notifications_failed_total"][mine]
        words = f"{requests:.0f} attempts, {failed:.0f} failed"
        return f"{words}, {given_up:.0f} given up" if given_up else words


def measure(program, case, folder):
    """One alert by one program to one server that misbehaves as ``case`` says."""
    folder.mkdir(parents=True)
    with SmtpServer(folder / "smtp", **case.server) as server:
        case.begin(server)
        with program(folder, case, server) as running:
            told_at, behaves = time.time(), False
            running.tell()
            while time.time() < told_at + WATCHED_SECONDS:
                time.sleep(_POLL_SECONDS)
                if not behaves and time.time() > told_at + MISBEHAVES_SECONDS:
                    behaves = True
                    if case.ends != "refused":
                        server.behave()
                if behaves and case.outcome != "ambiguous" and set(arrivals(server)) == set(PEOPLE):
                    break
            reported = running.reported()
        came = arrivals(server)
        copies = Counter(person for mail in server.mails() for person in mail.recipients)
    return Result(copies, {person: at - told_at for person, at in came.items()}, reported)


def arrivals(server):
    """When each person's first mail was taken."""
    came = {}
    for mail, path in zip(server.mails(), sorted((server.folder / "mails").glob("*.json")), strict=False):
        for person in mail.recipients:
            came.setdefault(person, path.stat().st_mtime)
    return came


def compare(case, base):
    """Both programs with one misbehaviour, at the same time."""
    with ThreadPoolExecutor(2) as both:
        jobs = [
            both.submit(measure, program, case, base / case.name.replace(" ", "-") / program.name)
            for program in (Gpuwarden, Alertmanager)
        ]
        results = [job.result() for job in jobs]
    print(f"  {case.name}: {' / '.join(f'{result.who} {result.when}' for result in results)}", file=sys.stderr)
    return case, results


def is_right(case, result):
    """Whether gpuwarden did what its documentation says."""
    wanted = {person for person in PEOPLE if case.ends == "accepted" or person not in case.concerns}
    return set(result.copies) == wanted


def main() -> int:
    """Measure and print the table."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    if shutil.which(ALERTMANAGER) is None:
        sys.exit(f"{ALERTMANAGER} is not installed")
    logging.getLogger("mail.log").disabled = True  # aiosmtpd's, about clients that hang up
    warnings.simplefilter("ignore")
    begun = time.monotonic()
    version = subprocess.run([ALERTMANAGER, "--version"], capture_output=True, text=True, check=True)
    print(f"{len(MISBEHAVIOURS)} misbehaviours, {AT_ONCE} at a time; who got the mail, when:", file=sys.stderr)
    with tempfile.TemporaryDirectory() as base, ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda case: compare(case, Path(base)), MISBEHAVIOURS))
    print(f"\n{(version.stdout + version.stderr).splitlines()[0]}; {time.monotonic() - begun:.0f} s\n")
    print("| the mail server | gpuwarden: who | after | reported | Alertmanager: who | after | reported |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case, (ours, theirs) in found:
        print(
            f"| {case.name} | {ours.who} | {ours.when} | {ours.reported} |"
            f" {theirs.who} | {theirs.when} | {theirs.reported} |"
        )
    wrong = [case.name for case, (ours, _) in found if not is_right(case, ours)]
    print(f"\n{'not as documented: ' + ', '.join(wrong) if wrong else 'gpuwarden: as documented, nothing lost'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
