"""A real Prometheus for the time of a test, and pages for it to scrape."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager

import httpx
import pytest

from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules
from tests.e2e.running import CLIENT
from tests.polling import wait_until

SECONDS = 30


def require_binary():
    """Where it is; skip, or fail where everything must run."""
    found = shutil.which("prometheus")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("prometheus is not installed, and CI must run this")
    if found is None:
        pytest.skip("prometheus is not installed")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """A real one that scrapes these targets twice a second and judges the shipped rules."""

    def __init__(self, binary, folder, targets, rules=None):
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "rules.yml").write_text(rule_file(load_rules(SHIPPED, [])) if rules is None else rules)
        jobs = [{"job_name": "gpuwarden", "static_configs": [{"targets": targets}]}]
        every = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        (folder / "prometheus.yml").write_text(
            json.dumps({"global": every, "rule_files": ["rules.yml"], "scrape_configs": jobs})
        )
        own = [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.url.removeprefix('http://')}"]
        self.log = (folder / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            [binary, f"--config.file={folder}/prometheus.yml", *own], stdout=self.log, stderr=self.log
        )

    def __enter__(self):
        wait_until(self.ready, SECONDS, "Prometheus does not become ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.log.close()

    def ready(self):
        """Whether it answers."""
        try:
            return CLIENT.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, expression):
        """The series of an instant query: (labels, value)."""
        answer = CLIENT.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def by_card(self, expression):
        """The values of an instant query by instance and card."""
        return {(labels.get("instance"), labels.get("gpu")): value for labels, value in self.ask(expression)}


class Page(http.server.ThreadingHTTPServer):
    """An exporter's page that the test writes, and can take away."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.text = ""
        self.target = f"127.0.0.1:{self.server_address[1]}"


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.server.text else 503)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    def log_message(self, *_):
        pass


@contextmanager
def page():
    """One, on a free port."""
    with Page() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
