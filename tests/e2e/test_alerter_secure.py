"""The alerter behind TLS and passwords, over real connections, and what talks to it."""

import os
import re
import signal

import httpx
import pytest

from tests.e2e.running import Running, alerter, run, write
from tests.e2e.secure import PASSWORD, Secrets
from tests.e2e.test_alertmanager import free_port
from tests.fakes.alertmanager_posts import payload, posted
from tests.polling import wait_until

ALICE = ("alice", PASSWORD)
JSON = {"content-type": "application/json"}
NOBODY = "http://127.0.0.1:1"
BEARER = {"authorization": "Bearer correct horse"}


@pytest.fixture
def secrets(tmp_path):
    return Secrets(tmp_path)


def serving(secrets, **environ):
    """The real alerter, judged for by Alertmanager, with the web-config file."""
    more = {"GPUWARDEN_ALERTER_JUDGE": "alertmanager", **environ}
    return alerter(secrets.folder, NOBODY, "--web-config", str(secrets.folder / "web.yml"), environ=more)


def url_of(process):
    return process.wait_for(r"listening on (https?://\S+)").group(1)


def post(secrets, url, **how):
    headers = JSON | how.pop("headers", {})
    with httpx.Client(verify=secrets.trust(), trust_env=False, timeout=5) as http:
        return http.post(f"{url}/webhook", content=payload(posted()), headers=headers, **how).status_code


def test_everything_is_behind_tls_and_the_password_the_webhook_too(secrets):
    """Anyone on the network would read who is told what, or send alarms."""
    secrets.config()
    with serving(secrets) as process:
        url = url_of(process)
        paths = ("/metrics", "/-/healthy", "/-/ready", "/status", "/api/v1/alerts")
        assert {secrets.get(url, path, auth=ALICE).status_code for path in paths} == {200}
        assert {secrets.get(url, path).status_code for path in (*paths, "/webhook")} == {401}
        assert post(secrets, url) == 401
        assert post(secrets, url, auth=ALICE) == 200

    assert url.startswith("https://")
    assert PASSWORD not in process.output


def test_beside_a_password_the_webhook_asks_for_its_own_secret(secrets):
    """Who may scrape could send alarms, or Alertmanager's one header would never be enough."""
    secrets.config()
    write(secrets.folder / "secret", "correct horse\n")
    with serving(secrets, GPUWARDEN_ALERTER_WEBHOOK_SECRET_FILE=str(secrets.folder / "secret")) as process:
        url = url_of(process)
        assert post(secrets, url, headers=BEARER) == 200
        assert post(secrets, url, auth=ALICE) == 401
        assert post(secrets, url) == 401
        assert secrets.get(url, auth=ALICE).status_code == 200
        with httpx.Client(verify=secrets.trust(), trust_env=False, timeout=5) as http:
            for path in ("/metrics", "/webhook/", "//webhook", "/webhook/../metrics", "/%2e/metrics"):
                assert http.get(f"{url}{path}", headers=BEARER).status_code == 401, path


@pytest.mark.parametrize(("auth", "more", "refused"), [(True, "", False), (False, "", True)])
def test_beyond_loopback_a_password_is_as_good_as_the_secret_and_tls_alone_is_not(secrets, auth, more, refused):
    """Anyone on the network could send alarms over an encrypted connection."""
    secrets.config(auth=auth, more=more)
    listen = {"GPUWARDEN_ALERTER_LISTEN": "0.0.0.0:0", "GPUWARDEN_ALERTER_JUDGE": "alertmanager"}
    environ = {**listen, "GPUWARDEN_ALERTER_WEB_CONFIG": "web.yml"}
    with Running("alerter", "--state", "state", home=secrets.folder, environ=environ) as process:
        if refused:
            assert process.process.wait(20) == 2
            assert "asks for neither a password nor a client's certificate" in process.output
        else:
            url_of(process)


def test_a_wrong_web_config_file_is_refused_at_the_start(secrets):
    """The alerter would start without the protection that was asked for."""
    secrets.config()
    (secrets.folder / "server.key").unlink()
    ended = run("alerter", "--listen", "127.0.0.1:0", "--web-config", "web.yml", home=secrets.folder)

    assert ended.returncode == 2
    assert "web.yml:3: tls_server_config.key_file: server.key cannot be read" in ended.stderr


def test_a_reload_takes_new_users_with_the_rest(secrets):
    """Passwords and settings that belong together would change at different times."""
    secrets.config(tls=False)
    with serving(secrets) as process:
        url = url_of(process)
        assert secrets.get(url, auth=("bob", PASSWORD)).status_code == 401
        secrets.config(tls=False, users="bob")
        process.process.send_signal(signal.SIGHUP)
        process.wait_for(r"reloaded \d+ rules")
        assert secrets.get(url, auth=("bob", PASSWORD)).status_code == 200


def settings(secrets, ports, alerts_from):
    lines = f"""
exporter:
  listen: 127.0.0.1:{ports[0]}
  interval: 200ms
  demo: true
{alerts_from}
alerter:
  listen: 127.0.0.1:{ports[1]}
  interval: 200ms
  web_config: {secrets.folder}/web.yml
"""
    return write(secrets.folder / "gpuwarden.yml", lines)


def test_up_says_what_to_set_where_the_status_page_cannot_ask_the_alerter(secrets):
    """The page would say "alerts unknown" for ever, and nobody why."""
    secrets.config()
    settings(secrets, (0, 0), "")
    ended = run("up", "--state", "state", home=secrets.folder)

    assert ended.returncode == 2
    for word in ("exporter.alerts_from", "SSL_CERT_FILE", "web.yml"):
        assert word in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_up_runs_with_an_alerter_behind_tls_and_a_password(secrets):
    """Who protects the alerter would lose the supervisor, or the alerts on the status page."""
    secrets.config()
    ports = free_port(), free_port()
    settings(secrets, ports, f'  alerts_from: "https://alice:open%20sesame@localhost:{ports[1]}"')
    trusted = {"SSL_CERT_FILE": str(secrets.folder / "ca.pem"), "PATH": os.environ["PATH"]}
    with Running("up", "--state", "state", home=secrets.folder, environ=trusted) as process:
        url = process.wait_for(r"open (http://\S+)").group(1)
        process.wait_for(r"4 of 4 simulated GPUs answer")
        process.wait_for(r"(?m)\| (nothing fires|firing)")

        def page():
            return httpx.get(url, trust_env=False, timeout=5).text

        wait_until(lambda: re.search(r"(no alert|\d+ alerts?) fires?", page()), 20, page)
        process.process.send_signal(signal.SIGHUP)
        process.wait_for(r"reloaded \d+ rules")

    assert PASSWORD not in process.output
