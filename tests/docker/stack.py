"""The real stack from the real files, for the time of a test: images, an own project, ways to look inside."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.docker import stand_ins
from tests.fakes.smtp.stages import Recorded, recorded

ROOT = Path(__file__).parents[2]
NAMES = {
    "python": "python:3.13.14-slim-trixie",
    "prometheus": "prom/prometheus:v3.13.3",
    "alertmanager": "prom/alertmanager:v0.33.1",
}
"""The images that the stack names and the tests need; ``test_compose_config`` holds them against the files."""
_ENVIRONMENT = """\
GPUWARDEN_IMAGE={project}
GPUWARDEN_PROBE_IMAGE={project}-probe
GPUWARDEN_RULES={folder}/rules.yml
GPUWARDEN_ALERTER_MAIL_HOST=smtp
GPUWARDEN_ALERTER_MAIL_PORT=587
GPUWARDEN_ALERTER_MAIL_SECURITY=starttls
GPUWARDEN_ALERTER_MAIL_FROM=gpuwarden <me@example.com>
GPUWARDEN_ALERTER_MAIL_TO=me@example.com
GPUWARDEN_ALERTER_MAIL_USERNAME=me@example.com
SMTP_PASSWORD_FILE={folder}/smtp_password
TEST_FOLDER={folder}
"""


def unavailable(reason: str) -> None:
    """Skip, or fail where everything must run."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def require_compose() -> None:
    """Docker Compose v2, with or without an engine."""
    if shutil.which("docker") is None or _run("docker", "compose", "version", check=False).returncode != 0:
        unavailable("Docker Compose v2 is not installed")


def require_engine() -> None:
    """Compose, and an engine that answers."""
    require_compose()
    if _run("docker", "info", "--format", "{{.ServerVersion}}", check=False).returncode != 0:
        unavailable("no Docker engine answers")


@contextmanager
def images(names: Mapping[str, str] = NAMES) -> Iterator[None]:
    """The images (values) that the stack names: those that are here, else pulled, else stand-ins (keys).

    One test at a time: another may borrow the same name for another stand-in.
    """
    with (Path(tempfile.gettempdir()) / "gpuwarden-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _images(names):
            yield


@contextmanager
def _images(names: Mapping[str, str]) -> Iterator[None]:
    missing = {name: image for name, image in names.items() if not (stand_ins.exists(image) or _pull(image))}
    why = missing and (stand_ins.why_not() or ("torch" in missing and stand_ins.why_no_torch()))
    if why:
        unavailable(why)
    stand_ins.build(*missing)
    with stand_ins.borrowed_names(missing):
        yield


DEMO = ("compose.yaml", "compose/demo.yaml", "tests/docker/override.yaml")
PROBE = ("compose.yaml", "compose/probe.yaml", "tests/docker/probe.yaml")


class Stack:
    """These files under a project name of its own; everything of it is gone afterwards."""

    def __init__(self, folder: Path, rules: str, files: Sequence[str] = DEMO) -> None:
        self.folder = folder
        self._files = files
        self.project = f"gpuwarden-test-{os.getpid()}"
        (folder / "smtp").mkdir()
        (folder / "smtp_password").write_text("correct horse\n")
        (folder / "env").write_text(_ENVIRONMENT.format(project=self.project, folder=folder))
        self.write_rules(rules)

    def write_rules(self, text: str) -> None:
        """Replace the user's rules as an editor does: by a new file of the same name."""
        draft = self.folder / "rules.draft"
        draft.write_text(text)
        draft.rename(self.folder / "rules.yml")

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        flags = (part for file in self._files for part in ("--file", file))
        own = ("--project-name", self.project, "--env-file", str(self.folder / "env"))
        return _run("docker", "compose", *own, *flags, *arguments, check=check)

    def up(self, *services: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.compose("up", "--detach", *services, check=check)

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "3", "--remove-orphans", check=False)
        own = (self.project, f"{self.project}-smtp", f"{self.project}-probe")
        _run("docker", "image", "rm", *own, check=False)

    def inside(self, service: str, *command: str) -> str:
        """What a command in a running service prints."""
        return self.compose("exec", "--no-TTY", service, *command).stdout

    def generated(self, path: str) -> str:
        """A file of the volume that Prometheus, Alertmanager and Grafana read."""
        return self.inside("prometheus", "cat", f"/generated/{path}")

    def prometheus(self, path: str) -> Any:
        """The data of an answer of Prometheus' API."""
        return json.loads(self.inside("prometheus", "wget", "-q", "-O", "-", f"http://127.0.0.1:9090/api/v1/{path}"))[
            "data"
        ]

    def query(self, expression: str) -> list[Any]:
        """The series that an expression has now."""
        return self.prometheus(f"query?query={quote(expression)}")["result"]

    def alerts(self, name: str, **labels: str) -> list[Any]:
        """Alertmanager's view of the alerts with these labels."""
        found = json.loads(self.inside("alertmanager", "wget", "-q", "-O", "-", "http://127.0.0.1:9093/api/v2/alerts"))
        return [alert for alert in found if alert["labels"].items() >= {"alertname": name, **labels}.items()]

    def amtool(self, *arguments: str) -> str:
        return self.inside("alertmanager", "amtool", "--alertmanager.url=http://127.0.0.1:9093", *arguments).strip()

    def mails(self, *words: str) -> list[Recorded]:
        """The mails that came, of which the bytes hold all the words."""
        return [mail for mail in recorded(self.folder / "smtp") if all(word.encode() in mail.data for word in words)]

    def report(self) -> str:
        """What the services say, for a test that failed."""
        return self.compose("ps", "--all", check=False).stdout + self.compose("logs", "--tail=40", check=False).stdout


def config(*files: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The model that Compose makes of these files, with nothing of this machine's .env in it."""
    flags = (part for file in files for part in ("--file", file))
    command = ("docker", "compose", "--env-file", os.devnull, *flags, "config", "--format", "json")
    return json.loads(_run(*command, environ=environ).stdout)


def _pull(image: str) -> bool:
    try:
        return _run("docker", "pull", "--quiet", image, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _run(
    *command: str, check: bool = True, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    foreign = ("GPUWARDEN_", "COMPOSE_", "GRAFANA_", "PROMETHEUS_", "SMTP_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**clean, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done
