"""An alerter on either road with one recipient, for tests of what the machine below it does: disk and clock."""

import email
import email.policy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.running import CLIENT, Running, series, write
from tests.e2e.test_alertmanager import free_port
from tests.fakes.smtp.server import SmtpServer
from tests.polling import wait_until
from tests.scenarios.kill_loop import Incident, Road

RULES = """\
rules:
  - alert: KillLoop
    metric: incident_burning
    unit: count
    above: 0.5
    for: {wait}
    keep_firing_for: {wait}
    severity: critical
    summary: "Incident {{{{ number }}}} burns"
"""


class Place:
    """One alerter, its mail server, and what burns."""

    def __init__(self, folder: Path, road: type[Road], *, wait: str = "0s") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.road = road(free_port())
        self.smtp = SmtpServer(folder / "smtp")
        write(folder / "rules.yml", RULES.format(wait=wait))

    @contextmanager
    def open(self) -> Iterator[None]:
        """May be opened again: what was recorded stays."""
        self.smtp = SmtpServer(self.folder / "smtp")
        with self.smtp, self.road.open():
            yield

    def alerter(self, *, before: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Running:
        mail = {
            "HOST": "127.0.0.1",
            "PORT": str(self.smtp.port),
            "SECURITY": "none",
            "FROM": "gpuwarden@example.com",
            "TO": "ann@example.com",
        }
        own = {
            "GPUWARDEN_ALERTER_JUDGE": self.road.judge,
            "GPUWARDEN_ALERTER_INTERVAL": "200ms",
            "GPUWARDEN_ALERTER_NOTIFY_DIGEST_ABOVE": "0",
            "GPUWARDEN_ALERTER_TARGETS": self.road.target,
            **{f"GPUWARDEN_ALERTER_MAIL_{key}": value for key, value in mail.items()},
            **(environ or {}),
        }
        listen = ("--listen", self.road.url.removeprefix("http://"))
        rules = ("--rules", str(self.folder / "rules.yml"))
        return Running(
            "alerter", *listen, *rules, "--state", str(self.state), home=self.folder, environ=own, before=before
        )

    def burn(self, incident: Incident) -> bool:
        return self.road.tell(incident, over=False)

    def end(self, incident: Incident) -> bool:
        return self.road.tell(incident, over=True)

    def health(self) -> int:
        return CLIENT.get(f"{self.road.url}/-/healthy").status_code

    def goes_round(self, times: int = 5) -> None:
        """Wait for some rounds, or looks; it must be healthy all the while."""
        seen: set[float] = set()

        def went() -> bool:
            assert self.health() == 200
            found = series(self.road.url).get("gpuwarden_alerter_last_round_timestamp_seconds", {})
            seen.update(found.values() if found else [float(len(seen))])
            return len(seen) > times

        wait_until(went, 20, "no rounds")

    def told(self) -> list[tuple[int, str]]:
        """The incidents that the mails tell of, with the reason, sorted; a mail that came twice is there twice."""
        messages = [email.message_from_bytes(mail.data, policy=email.policy.default) for mail in self.smtp.mails()]
        found = []
        for message in messages:
            (number,) = set(re.findall(r"Incident (\d+) burns", message["Subject"]))
            found.append((int(number), message["X-Gpuwarden-Reason"]))
        return sorted(found)
