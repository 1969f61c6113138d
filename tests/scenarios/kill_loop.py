"""The real alerter killed with -9 at moments that nobody chose, while incidents begin and end: what was told of them?

Two roads: the alerter judges a page by itself, or it is posted to as Alertmanager posts (again until it says 200). Each
goes on by itself: a thread lets incidents begin and end, another one starts the alerter and kills it, and a real SMTP
server in a process of its own keeps what it accepted, with the time. Half of the kills come at any time after the
start, the start itself included; the others within a few hundredths of a second after a mail or a 200.

1. Each incident is a series of its own, and its number stands in the mail.
2. A lasting incident ends once everybody was told of it. A brief one ends soon, whatever was told; what is over before
   its mail is made is told by one mail. An alerter that judges by itself may have been dead all the while, then nobody
   hears of it.
3. ``judge`` says what must hold: nobody misses what others got, or what was lasting or posted; what comes twice is
   the same bytes under the same Message-ID, and no more often than there were kills; and no mail tells of what did not
   happen, or before it happened.
"""

import email
import email.policy
import hashlib
import json
import random
import re
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.e2e.running import CLIENT, Running, series, write
from tests.e2e.test_alertmanager import free_port
from tests.fakes.alertmanager_posts import payload, posted
from tests.polling import wait_until

RECIPIENTS = ("ann@example.com", "bob@example.com", "eve@example.com")
MOST_AT_ONCE = 3
_BRIEF_SHARE = 0.3
_SECONDS_TO_SETTLE = 90.0
_LONGEST_WAIT_FOR_NEWS = 3.0
_SLOW_SMTP_SECONDS = "0.003"

RULES = """\
rules:
  - alert: KillLoop
    metric: incident_burning
    unit: count
    above: 0.5
    severity: critical
    summary: "Incident {{ number }} burns"
    action: Let it burn.
"""
SETTINGS = """\
alerter:
  judge: {judge}
  listen: 127.0.0.1:{port}
  interval: 200ms
  targets: [{target}]
  rules: [{folder}/rules.yml]
  state: {folder}/state
  notify: {{digest: {{above: 0}}}}
  mail: {{host: 127.0.0.1, port: {smtp}, security: none, from: gpuwarden@example.com, to: [{to}]}}
"""


@dataclass(slots=True)
class Incident:
    """Something that burns from ``began`` to ``ended``; Unix seconds."""

    number: int
    brief: bool
    began: float = 0.0
    ended: float = 0.0
    stage: str = "new"


@dataclass(frozen=True, slots=True)
class Mail:
    """One copy that the server accepted."""

    message_id: str
    recipient: str
    over: bool
    incidents: frozenset[int]
    digest: str
    at: float


class Inbox:
    """What the SMTP server has accepted into ``folder``, read as it comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "mails"
        self.mails: list[Mail] = []
        self._told: dict[tuple[int, bool], set[str]] = defaultdict(set)

    def look(self) -> None:
        while (facts := self._folder / f"{len(self.mails) + 1:04}.json").exists():
            mail = _read(facts)
            self.mails.append(mail)
            for number in mail.incidents:
                self._told[number, mail.over].add(mail.recipient)

    def everybody_knows(self, incident: Incident, *, over: bool) -> bool:
        return len(self._told[incident.number, over]) == len(RECIPIENTS)


def _read(facts: Path) -> Mail:
    data = facts.with_suffix(".eml").read_bytes()
    message = email.message_from_bytes(data, policy=email.policy.default)
    (recipient,) = json.loads(facts.read_text())["recipients"]
    text = f"{message['Subject']}\n{message.get_body(('plain',)).get_content()}"
    numbers = frozenset(map(int, re.findall(r"Incident (\d+) burns", text)))
    over = message["Subject"].startswith("[RESOLVED]")  # what began and ended before a mail could tell of it, too
    digest = hashlib.sha256(data).hexdigest()
    return Mail(message["Message-ID"], recipient, over, numbers, digest, facts.stat().st_mtime)


class Road(ABC):
    """How the alerter learns of an incident."""

    judge: str

    def __init__(self, port: int) -> None:
        self.target = "http://127.0.0.1:1/metrics"
        self.url = f"http://127.0.0.1:{port}"

    @abstractmethod
    def tell(self, incident: Incident, *, over: bool) -> bool:
        """Make it known that it has begun or ended; whether that was taken."""

    def is_promised(self, incident: Incident) -> bool:
        """Whether everybody must hear of it."""
        return not incident.brief

    @contextmanager
    def open(self) -> Iterator[None]:
        yield


class Watched(Road):
    """The alerter reads a page."""

    judge = "self"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._values: dict[int, int] = {}

    def tell(self, incident: Incident, *, over: bool) -> bool:
        self._values[incident.number] = int(not over)
        return True

    @contextmanager
    def open(self) -> Iterator[None]:
        road = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lines = [
                    f'incident_burning{{number="{number}"}} {value}\n' for number, value in [*road._values.items()]
                ]
                body = "".join(lines).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
            self.target = f"http://127.0.0.1:{server.server_port}/metrics"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


class Posted(Road):
    """The alerter is posted to, by somebody who posts again until he is told 200."""

    judge = "alertmanager"

    def tell(self, incident: Incident, *, over: bool) -> bool:
        labels = {"alertname": "KillLoop", "number": str(incident.number), "gpu": None, "uuid": None}
        times = {"start": incident.began, "end": incident.ended if over else None}
        body = payload(
            posted("resolved" if over else "firing", value="1", annotations={"value": "1"}, **times, **labels)
        )
        try:
            answer = CLIENT.post(f"{self.url}/webhook", content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def is_promised(self, incident: Incident) -> bool:  # noqa: ARG002 -- whatever was answered 200
        return True


ROADS: tuple[type[Road], ...] = (Watched, Posted)


@dataclass(slots=True)
class Figures:
    """What one road saw."""

    road: str
    kills: int = 0
    killed_before_listening: int = 0
    recovered: int = 0
    """Mails of which a start said that they were being sent when the alerter was killed."""
    lasting: int = 0
    brief: int = 0
    brief_untold: int = 0
    mails: int = 0
    distinct: int = 0
    twice: int = 0
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)


class Loop:
    """One road, killed ``kills`` times."""

    def __init__(self, road: type[Road], folder: Path, kills: int, seed: int) -> None:
        self._port = free_port()
        self._road = road(self._port)
        self._folder = folder
        self._chance = random.Random(f"{seed} {self._road.judge}")
        self._story = random.Random(f"{seed} {self._road.judge} story")
        self._inbox = Inbox(folder / "smtp")
        self._incidents: list[Incident] = []
        self._closing, self._ended = threading.Event(), threading.Event()
        self._log: list[str] = []
        self._start_seconds = 1.0
        """How long a start takes on this machine now."""
        self._wanted = kills
        self.figures = Figures(self._road.judge)

    def run(self, say: Callable[[str], None]) -> Figures:
        """Kill, then let it settle, then judge."""
        begun = time.monotonic()
        with self._smtp() as port, self._road.open():
            self._settings(port)
            director = threading.Thread(target=self._direct, daemon=True)
            director.start()
            try:
                while self.figures.kills < self._wanted:
                    self._kill()
                    if self.figures.kills % 10 == 0:
                        say(self._progress(time.monotonic() - begun))
                self._settle()
            finally:
                self._ended.set()
                director.join()
            self._inbox.look()
        self.figures.seconds = time.monotonic() - begun
        judge(self.figures, self._incidents, self._inbox.mails, self._road.is_promised)
        self._read_log()
        return self.figures

    def _progress(self, seconds: float) -> str:
        done = f"{self.figures.kills}/{self._wanted} kills, {len(self._incidents)} incidents"
        return f"{self.figures.road:12} {done}, {len(self._inbox.mails)} mails, {seconds:.0f} s"

    def _settings(self, smtp: int) -> None:
        write(self._folder / "rules.yml", RULES)
        text = SETTINGS.format(
            judge=self._road.judge,
            port=self._port,
            target=self._road.target,
            folder=self._folder,
            smtp=smtp,
            to=", ".join(RECIPIENTS),
        )
        write(self._folder / "gpuwarden.yml", text)

    def _start(self) -> Running:
        return Running("alerter", home=self._folder)

    def _kill(self) -> None:
        with self._start() as process:
            if self._chance.random() < 0.5:
                time.sleep(self._chance.uniform(0, 2 * self._start_seconds + 0.5))
            else:
                begun = time.monotonic()
                process.wait_for("listening on", 60)
                self._start_seconds = time.monotonic() - begun
                self._wait_for_news(process)
                time.sleep(self._chance.uniform(0, 0.03))
            process.kill()
        self.figures.kills += 1
        self.figures.killed_before_listening += "listening on" not in process.output
        self._log += process.lines

    def _wait_for_news(self, process: Running) -> None:
        """Until a mail is accepted or something is decided."""
        deadline = time.monotonic() + _LONGEST_WAIT_FOR_NEWS
        mails, decided = len(self._inbox.mails), len(process.lines)
        while time.monotonic() < deadline:
            if len(self._inbox.mails) > mails or any(" fired (" in line for line in process.lines[decided:]):
                return
            time.sleep(0.002)

    def _settle(self) -> None:
        """No new incidents, no more kills: what is promised must come."""
        self._closing.set()
        with self._start() as process:
            process.wait_for("listening on", 30)
            with suppress(AssertionError):
                wait_until(lambda: not self._open(), _SECONDS_TO_SETTLE, "")
            with suppress(AssertionError):
                wait_until(self._nothing_waits, _SECONDS_TO_SETTLE, "")
        self._log += process.lines

    def _nothing_waits(self) -> bool:
        found = series(self._road.url)
        waiting = sum(
            value
            for labels, value in found.get("gpuwarden_alerter_outbox_messages", {}).items()
            if dict(labels)["state"] in {"queued", "sending"}
        )
        firing = found.get("gpuwarden_alerter_alerts", {})
        return not waiting and not firing and not found["gpuwarden_alerter_notifications_uncomposed"][()]

    def _read_log(self) -> None:
        text = "\n".join(self._log)
        self.figures.recovered = sum(map(int, re.findall(r"(\d+) mails were being sent", text)))
        if "Traceback" in text or " ERROR " in text:
            self.figures.complaints.append("the alerter complained: " + next(_complaints(self._log)))

    def _open(self) -> list[Incident]:
        return [incident for incident in self._incidents if incident.stage != "closed"]

    def _direct(self) -> None:
        while not self._ended.is_set():
            self._inbox.look()
            alive = self._open()
            for incident in alive:
                self._step(incident)
            if len(alive) < MOST_AT_ONCE and not self._closing.is_set():
                brief = self._story.random() < _BRIEF_SHARE
                self._incidents.append(Incident(len(self._incidents) + 1, brief))
            time.sleep(0.01)

    def _step(self, incident: Incident) -> None:
        """One step of an incident's life: new, burning, ending, ended, closed."""
        if incident.stage == "new":
            incident.began = incident.began or time.time()
            if self._road.tell(incident, over=False):
                incident.stage = "burning"
        elif incident.stage == "burning":
            burnt = time.time() - incident.began > self._story.uniform(0.1, 1.5)
            if burnt if incident.brief else self._inbox.everybody_knows(incident, over=False):
                incident.ended, incident.stage = time.time(), "ending"
        elif incident.stage == "ending":
            if self._road.tell(incident, over=True):
                incident.stage = "ended" if self._road.is_promised(incident) else "closed"
        elif self._inbox.everybody_knows(incident, over=True):
            incident.stage = "closed"

    @contextmanager
    def _smtp(self) -> Iterator[int]:
        folder, port_file = self._folder / "smtp", self._folder / "port"
        folder.mkdir(parents=True)
        write(folder / "slow", _SLOW_SMTP_SECONDS)
        command = (
            sys.executable,
            "-m",
            "tests.fakes.smtp.server",
            "--folder",
            str(folder),
            "--port-file",
            str(port_file),
        )
        with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as server:
            try:
                wait_until(port_file.exists, 20, "the SMTP server did not start")
                yield int(port_file.read_text())
            finally:
                server.terminate()


def _complaints(lines: list[str]) -> Iterator[str]:
    yield from (line for line in lines if "Traceback" in line or " ERROR " in line)


def judge(
    figures: Figures, incidents: list[Incident], mails: list[Mail], is_promised: Callable[[Incident], bool]
) -> None:
    """Fill in the figures, and complain of everything that must not be."""
    known = {incident.number: incident for incident in incidents}
    figures.lasting = sum(not incident.brief for incident in incidents)
    figures.brief = len(incidents) - figures.lasting
    figures.mails = len(mails)
    copies: Counter[tuple[str, str]] = Counter((mail.message_id, mail.recipient) for mail in mails)
    bytes_of: dict[str, set[str]] = defaultdict(set)
    told: dict[tuple[int, bool, str], set[str]] = defaultdict(set)
    for mail in mails:
        bytes_of[mail.message_id].add(mail.digest)
        for number in mail.incidents:
            told[number, mail.over, mail.recipient].add(mail.message_id)
        figures.complaints += _untrue(mail, known)
    figures.distinct = len(bytes_of)
    figures.twice = sum(copies.values()) - len(copies)
    if figures.twice > figures.kills:
        figures.complaints.append(f"{figures.twice} mails came twice, with {figures.kills} kills")
    figures.complaints += [f"{name} has {len(kinds)} contents" for name, kinds in bytes_of.items() if len(kinds) > 1]
    for incident in incidents:
        figures.complaints += _unequal(incident, told, promised=is_promised(incident))
    figures.brief_untold = sum(
        not any(told[it.number, over, RECIPIENTS[0]] for over in (True, False)) for it in incidents
    )


def _untrue(mail: Mail, known: dict[int, Incident]) -> Iterator[str]:
    if not mail.incidents:
        yield f"{mail.message_id} tells of nothing that we know"
    for number in mail.incidents:
        incident = known.get(number)
        happened = incident and (incident.ended if mail.over else incident.began)
        if not happened or mail.at < happened - 0.01:
            yield f"{mail.message_id} tells of incident {number} what did not happen"


def _unequal(incident: Incident, told: dict[tuple[int, bool, str], set[str]], *, promised: bool) -> Iterator[str]:
    for over in (False, True):
        ids = {who: told[incident.number, over, who] for who in RECIPIENTS}
        what = f"the {'end' if over else 'beginning'} of incident {incident.number}"
        if len({frozenset(found) for found in ids.values()}) > 1:
            yield f"{what} was told to some in other mails than to others: {ids}"
        if any(len(found) > 1 for found in ids.values()):
            yield f"{what} was told by more than one mail: {ids}"
        untold = incident.brief and not over  # what is over before its mail is made is told by one mail, about the end
        if promised and not all(ids.values()) and not untold:
            yield f"{what} was not told to everybody: {ids}"
    heard_of_end, heard_of_beginning = (told[incident.number, over, RECIPIENTS[0]] for over in (True, False))
    if heard_of_end and not heard_of_beginning and not incident.brief:
        yield f"the end of incident {incident.number} was told, and not its beginning"
