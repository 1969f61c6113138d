"""The script that brings new rules into force in a running stack."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "compose" / "reload.py"
WAITS_FOR_HANGUP = """\
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
print("ready", flush=True)
signal.sigwait({signal.SIGHUP})
"""


class Service(BaseHTTPRequestHandler):
    """Prometheus' answer to /-/reload: 200, or 500 with what is wrong."""

    def do_POST(self):
        broken = b"" if self.server.works else b"failed to reload config: line 3\n"
        self.server.asked.append(self.path)
        self.send_response(200 if self.server.works else 500)
        self.send_header("Content-Length", str(len(broken)))
        self.end_headers()
        self.wfile.write(broken)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        server.works, server.asked = True, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def alerter():
    command = [sys.executable, "-c", WAITS_FOR_HANGUP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def run(process, *services):
    command = [sys.executable, str(SCRIPT), str(process), *services]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def address(service):
    return f"127.0.0.1:{service.server_port}"


def test_everybody_is_told(service, alerter):
    """A service that is not told goes on with old thresholds, and mail and wall say different numbers."""
    done = run(alerter.pid, address(service), address(service))
    assert (done.returncode, done.stderr) == (0, "")
    assert service.asked == ["/-/reload", "/-/reload"]
    assert alerter.wait(5) == 0


def test_a_refusal_is_told_in_the_services_own_words_and_stops_nobody_else(service, alerter):
    """A rule that Prometheus refuses would otherwise be thought to be in force."""
    service.works = False
    done = run(alerter.pid, "127.0.0.1:1", address(service))
    assert done.returncode == 1
    assert "127.0.0.1:1 cannot be told to read its files: " in done.stderr
    assert f"{address(service)} keeps its old files: failed to reload config: line 3" in done.stderr
    assert alerter.wait(5) == 0


def test_an_alerter_that_is_gone_is_named(service, alerter):
    """Success would be reported for rules that no alerter has read."""
    alerter.kill()
    alerter.wait(5)
    done = run(alerter.pid, address(service))
    assert done.returncode == 1
    assert "cannot be told to read its rules" in done.stderr
