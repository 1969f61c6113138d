import yaml

from alerts.alertmanager_config import DEFAULT_WEBHOOK, alertmanager_config
from gpuwarden.units import parse_duration


def test_every_change_of_every_alert_is_posted():
    """A resolved mail never comes, or one for many alerts waits until the last of them ends."""
    config = yaml.safe_load(alertmanager_config("http://alerter:9401/webhook", None))
    route = config["route"]
    assert route["group_by"] == ["..."]
    assert route["group_wait"] == "0s"
    assert parse_duration(route["group_interval"]) <= 30
    assert parse_duration(route["repeat_interval"]) == 4 * 3600
    assert [receiver["name"] for receiver in config["receivers"]] == [route["receiver"]]
    assert config["receivers"][0]["webhook_configs"] == [{"url": "http://alerter:9401/webhook", "send_resolved": True}]


def test_the_watchdog_is_posted_every_minute_or_so():
    """A heartbeat that depends on it is late by hours, so a broken way is seen only then."""
    (watchdog,) = yaml.safe_load(alertmanager_config(DEFAULT_WEBHOOK, None))["route"]["routes"]
    assert watchdog["matchers"] == ['alertname="Watchdog"']
    longest = parse_duration(watchdog["repeat_interval"]) + parse_duration(watchdog["group_interval"])
    assert longest <= 120


def test_the_secret_is_read_from_its_file():
    """Whoever reaches the alerter can make it mail, or the secret stands in a file that everyone may read."""
    url, file = 'http://[::1]:9401/webhook?a="b"', "/run/secrets/the webhook"
    (webhook,) = yaml.safe_load(alertmanager_config(url, file))["receivers"][0]["webhook_configs"]
    assert webhook["url"] == url
    assert webhook["http_config"] == {"authorization": {"type": "Bearer", "credentials_file": file}}


def test_the_repeat_interval_is_the_users():
    """Everyone gets a reminder every four hours, whether they want it or not."""
    config = yaml.safe_load(alertmanager_config(DEFAULT_WEBHOOK, None, repeat_interval=86_400.0))
    assert config["route"]["repeat_interval"] == "1d"
