import pytest
import yaml

from alerts.alertmanager_config import DEFAULT_WEBHOOK, alertmanager_config
from alerts.rules import SHIPPED, load_rules, rules_of
from gpuwarden.documents import DocumentError, parse
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


LADDER = """
rules:
  - {alert: Grave, metric: gpu_ecc_errors_total, above: 9, severity: critical, summary: s}
  - {alert: Slight, metric: gpu_ecc_errors_total, above: 1, severity: warning, summary: s, muted_by: [Grave]}
  - {alert: Hot, metric: gpu_temperature_celsius, above: 90, severity: info, summary: s, muted_by: [Grave, Slight]}
"""


def inhibitions(*overrides):
    documents = [parse(LADDER, "ladder.yml"), *(parse(f"rules: [{text}]", "own.yml") for text in overrides)]
    config = yaml.safe_load(alertmanager_config(DEFAULT_WEBHOOK, None, rules_of(documents)))
    return [(one["source_matchers"], one["target_matchers"], one["equal"]) for one in config.get("inhibit_rules", [])]


def test_what_mutes_a_rule_inhibits_it_on_the_same_series():
    """Where Prometheus judges, one full card is two mails, or one full card hides another."""
    card = ["gpu", "instance", "job", "uuid"]
    assert inhibitions() == [
        (['alertname="Grave"'], ['alertname="Slight"'], ["exported_severity", *card]),
        (['alertname="Grave"'], ['alertname="Hot"'], card),
        (['alertname="Slight"'], ['alertname="Hot"'], card),
    ]
    assert "inhibit_rules" not in yaml.safe_load(alertmanager_config(DEFAULT_WEBHOOK, None))


def test_a_label_that_keeps_two_rules_apart_does_not_keep_the_mute():
    """Uncorrected errors of a card would never hide its corrected ones, so the grave mail gets lost."""
    rules = [rule for rule in load_rules(SHIPPED, []) if rule.alert.startswith("GpuEcc")]
    (found,) = yaml.safe_load(alertmanager_config(DEFAULT_WEBHOOK, None, rules))["inhibit_rules"]
    assert found["equal"] == ["gpu", "instance", "job", "uuid"]


def test_an_override_that_takes_the_mute_from_one_card_takes_it_only_there():
    """The warning about one card would go on being hidden, though its owner asked for it."""
    found = inhibitions('{override: Slight, where: {gpu: "1", severity: "=~a.*"}, muted_by: []}')
    assert [target for _, target, _ in found][:2] == [
        ['alertname="Slight"', 'gpu!="1"'],
        ['alertname="Slight"', 'gpu="1"', 'exported_severity!~"a.*"'],
    ]


def divided(number, where):
    lines = [f"{{override: Slight, where: {where.format(number=number)}, muted_by: []}}" for number in range(number)]
    return rules_of([parse(LADDER, "ladder.yml"), parse(f"rules: [{', '.join(lines)}]", "own.yml")])


def test_many_overrides_make_about_as_many_inhibit_rules():
    """With twenty cards named by host and number the configuration would have a million rules, and never be written."""
    rules = divided(90, '{{gpu: "{number}", instance: "box{number}:9400"}}')
    text = alertmanager_config(DEFAULT_WEBHOOK, None, rules)
    assert len(yaml.safe_load(text)["inhibit_rules"]) < 100
    assert len(text) < 50_000


def test_a_division_that_cannot_be_told_is_refused_at_once():
    """The alerter would start with rules for which no configuration can be written, or hang at its start."""
    expressions = ", ".join(f'{label}: "=~{{number}}.*"' for label in ("gpu", "uuid", "instance", "job"))
    with pytest.raises(DocumentError) as caught:
        divided(6, f"{{{{{expressions}}}}}")
    (mistake,) = caught.value.mistakes
    assert str(mistake).startswith("own.yml:1: rules[5].muted_by: the overrides of Slight divide its series in more")


def test_labels_are_quoted_as_alertmanager_reads_them():
    """A label with a quote in it would be a configuration with which Alertmanager does not start."""
    found = inhibitions(r"""{override: Hot, where: {uuid: "a\"\\\n"}, muted_by: []}""")
    assert [target[1:] for _, target, _ in found][1:] == [[r'uuid!="a\"\\\n"']] * 2
