"""A real Alertmanager posts to the alerter over TLS, with the one Authorization header that it can send."""

import pytest
import yaml

from tests.e2e.running import CLIENT, alerter, write
from tests.e2e.secure import PASSWORD, Secrets
from tests.e2e.test_alertmanager import free_port, running
from tests.polling import wait_until

pytestmark = pytest.mark.prometheus
NOBODY = "http://127.0.0.1:1"


def alertmanager(home, url, how):
    """An Alertmanager that posts everything at once, and its URL."""
    http = {"tls_config": {"ca_file": str(home / "ca.pem")}, **how}
    hook = {"url": f"{url}/webhook", "http_config": http}
    document = {
        "route": {"receiver": "gpuwarden", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "gpuwarden", "webhook_configs": [hook]}],
    }
    write(home / "alertmanager.yml", yaml.safe_dump(document))
    port = free_port()
    listen = (f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=")
    files = ("--config.file=alertmanager.yml", f"--storage.path={home / 'data'}")
    return running(home, "prometheus-alertmanager", *files, *listen), f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("by", ["password", "secret"])
def test_alertmanager_posts_with_tls_and_a_password_or_the_secret(tmp_path, by):
    """Behind a web-config file no alert of Alertmanager would ever arrive."""
    secrets = Secrets(tmp_path)
    secrets.config()
    secret = write(tmp_path / "secret", "correct horse\n")
    password = write(tmp_path / "password", PASSWORD)
    ways = {
        "password": {"basic_auth": {"username": "alice", "password_file": str(password)}},
        "secret": {"authorization": {"type": "Bearer", "credentials_file": str(secret)}},
    }
    environ = {"GPUWARDEN_ALERTER_JUDGE": "alertmanager"}
    if by == "secret":
        environ["GPUWARDEN_ALERTER_WEBHOOK_SECRET_FILE"] = str(secret)
    with alerter(tmp_path, NOBODY, "--web-config", "web.yml", environ=environ) as process:
        url = process.wait_for(r"listening on (https://\S+)").group(1)
        posting, at = alertmanager(tmp_path, url, ways[by])
        with posting:
            wait_until(lambda: is_ready(at), 20, "Alertmanager is not ready")
            alert = {"labels": {"alertname": "GpuMemoryAlmostFull", "gpu": "0"}, "annotations": {"value": "0.95"}}
            CLIENT.post(f"{at}/api/v2/alerts", json=[alert]).raise_for_status()
            process.wait_for(r"GpuMemoryAlmostFull fired \(posted_firing\)")
            process.wait_for("written to")


def is_ready(url):
    try:
        return CLIENT.get(f"{url}/-/ready").status_code == 200
    except Exception:  # noqa: BLE001 -- whatever it is, it is not ready
        return False
