"""A real Prometheus scrapes the exporter over TLS, with its own certificate and a password."""

import httpx
import pytest
import yaml

from tests.e2e.running import CLIENT, write
from tests.e2e.secure import PASSWORD, Secrets, serving
from tests.e2e.test_alertmanager import free_port, running
from tests.polling import wait_until

pytestmark = pytest.mark.prometheus


def scraping(home, address, **http):
    """A Prometheus that scrapes ``address`` four times a second, and its URL."""
    document = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [{"job_name": "gpuwarden", "static_configs": [{"targets": [address]}], **http}],
    }
    write(home / "prometheus.yml", yaml.safe_dump(document))
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    files = ("--config.file=prometheus.yml", f"--storage.tsdb.path={home / 'data'}")
    return running(home, "prometheus", *files, listen, "--log.level=warn"), f"http://127.0.0.1:{port}"


def value(url, query):
    """What Prometheus answers to a query of one series, None while it has nothing or does not answer."""
    try:
        found = CLIENT.get(f"{url}/api/v1/query", params={"query": query}).json()["data"]["result"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return float(found[0]["value"][1]) if found else None


def test_prometheus_scrapes_with_tls_a_certificate_and_a_password(tmp_path):
    """The protection would be there, and no series in Prometheus."""
    secrets = Secrets(tmp_path)
    client = secrets.client_pem("prometheus.lan")
    secrets.config(more="  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n")
    write(tmp_path / "password", PASSWORD)
    tls = {"ca_file": "ca.pem", "cert_file": client.name, "key_file": client.name, "server_name": "localhost"}
    http = {
        "scheme": "https",
        "tls_config": tls,
        "basic_auth": {"username": "alice", "password_file": "password"},
    }
    with serving(secrets) as (_, url):
        prometheus, api = scraping(tmp_path, url.removeprefix("https://"), **http)
        with prometheus:
            wait_until(lambda: value(api, "up") == 1, 30, "prometheus does not get in")
            assert value(api, "count(gpu_up)") == 4
            secrets.issue()
            wait_until(lambda: (value(api, "count_over_time(up[1m])") or 0) >= 30, 30, "scrapes stopped")
            assert value(api, "min_over_time(up[1m])") == 1


def test_prometheus_without_the_password_is_kept_out(tmp_path):
    """A password would be set and not asked for."""
    secrets = Secrets(tmp_path)
    secrets.config(tls=False)
    with serving(secrets) as (_, url):
        prometheus, api = scraping(tmp_path, url.removeprefix("http://"))
        with prometheus:
            wait_until(lambda: value(api, "up") is not None, 30, "never scraped")
            targets = CLIENT.get(f"{api}/api/v1/targets").json()["data"]["activeTargets"]

    assert targets[0]["health"] == "down"
    assert "401" in targets[0]["lastError"]
