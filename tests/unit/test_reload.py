import asyncio
import logging

import pytest

from alerts.in_force import NEEDS_RESTART, Following, InForce, Terms
from alerts.reload import Reload
from alerts.settings import AlerterSettings
from gpuwarden.settings import keys_of, load
from gpuwarden.web_files import WebFiles
from tests.e2e.running import write
from tests.e2e.secure import Secrets

RULES = "rules:\n  - {override: GpuMemoryAlmostFull, above: %s}\n"
SETTINGS = """\
alerter:
  judge: %s
  listen: 127.0.0.1:%d
  interval: %s
  targets: [%s]
  rules: [%s]
  mail: {to: [%s]}
"""


class Box:
    """A settings file and a rules file of which the alerter has taken the first version."""

    def __init__(self, folder):
        self.folder = folder
        self.rules(0.9)
        self.settings()
        self.web = WebFiles(None)
        self.taken = 0
        self.in_force = InForce(Terms.read(self.read()))

    def rules(self, above):
        write(self.folder / "rules.yml", RULES % above)

    def settings(self, *, judge="self", port=9401, interval="5s", target="http://a:1/metrics", to="a@b.c", more=""):
        text = SETTINGS % (judge, port, interval, target, self.folder / "rules.yml", to)
        write(self.folder / "gpuwarden.yml", text + more)

    def read(self):
        return load("alerter", AlerterSettings, config=self.folder / "gpuwarden.yml", environ={}).values

    def reload(self):
        def taken():
            self.taken += 1

        asyncio.run(Reload(self.in_force, self.web, self.read, taken).reload())
        return self.in_force

    @property
    def threshold(self):
        (rule,) = (rule for rule in self.in_force.rules if rule.alert == "GpuMemoryAlmostFull")
        return rule.threshold


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def test_everything_that_was_changed_is_in_force_together(box):
    """A changed recipient, target or interval would need a restart, or hold for half of the alerter."""
    box.rules(0.95)
    box.settings(interval="10s", target="http://b:2/metrics", to="new@b.c")
    settings = box.reload().settings

    assert (settings.interval, settings.targets, settings.mail.to) == (10, ("http://b:2/metrics",), ("new@b.c",))
    assert box.threshold == 0.95
    assert (box.in_force.refused, box.taken) == ("", 1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda box: box.rules(90), "rules.yml:2: rules[0].above"),
        (lambda box: box.settings(interval="5"), "gpuwarden.yml:4: alerter.interval"),
        (lambda box: box.settings(more="  scrap: {}\n"), "gpuwarden.yml:8: alerter.scrap: is not a known key"),
        (lambda box: box.settings(more="  scrape: {ca_file: /nowhere.pem}\n"), "/nowhere.pem"),
        (lambda box: write(box.folder / "gpuwarden.yml", "alerter: ["), "gpuwarden.yml:1: is not YAML"),
    ],
    ids=["rule", "value", "key", "certificate", "yaml"],
)
def test_one_mistake_anywhere_leaves_everything_as_it_was_and_is_told_with_its_place(box, caplog, spoil, said):
    """A typing mistake would put half of a change in force, or none without a word."""
    before = box.in_force.terms
    box.rules(0.95)
    box.settings(to="new@b.c")
    spoil(box)
    box.reload()

    assert box.in_force.terms is before
    assert said in box.in_force.refused
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert said in record.getMessage()
    assert box.taken == 0


def test_a_mistake_that_was_mended_is_forgotten(box):
    """The alerter would go on complaining about a file that is right again."""
    box.rules(90)
    assert box.reload().refused
    box.rules(0.96)
    assert not box.reload().refused
    assert box.threshold == 0.96


def test_what_needs_a_restart_is_named_and_all_else_taken(box, caplog):
    """A new port would seem to be in force, or keep the new recipients out."""
    box.settings(port=9999, to="new@b.c")
    settings = box.reload().settings

    assert (settings.listen, settings.mail.to) == ("127.0.0.1:9401", ("new@b.c",))
    assert "alerter.listen changed and needs a restart; all else is in force" in caplog.text


def test_what_does_not_go_together_before_a_restart_is_refused(box):
    """The alerter would be left with nothing to watch until somebody restarts it."""
    text = "alerter:\n  judge: alertmanager\n  targets: []\n"
    write(box.folder / "gpuwarden.yml", text)
    why = box.reload().refused

    assert why == "alerter.targets: there is nothing to watch, and alerter.judge cannot change without a restart"
    assert box.in_force.settings.targets


def test_a_web_config_file_that_is_wrong_keeps_the_rest_out_too(box):
    """Half of a change would be in force."""
    secrets = Secrets(box.folder)
    box.web = WebFiles(str(secrets.config()))
    before = box.web.current
    box.rules(0.95)
    (box.folder / "server.key").unlink()

    assert "web.yml:3: tls_server_config.key_file" in box.reload().refused
    assert box.threshold == 0.9
    assert box.web.current is before


def test_the_webhook_is_not_opened_by_a_reload(tmp_path):
    """Taking the secret out of the settings would let anyone on the network post alerts."""
    secrets = Secrets(tmp_path)
    web = WebFiles(str(secrets.config(auth=False)))
    shut = "alerter: {judge: alertmanager, listen: '0.0.0.0:9401', web_config: web.yml"
    file = write(tmp_path / "gpuwarden.yml", f"{shut}, webhook: {{secret_file: secret}}}}\n")

    def read():
        return load("alerter", AlerterSettings, config=file, environ={}).values

    in_force = InForce(Terms.read(read()))
    write(file, f"{shut}}}\n")
    asyncio.run(Reload(in_force, web, read, lambda: None).reload())

    assert "anyone who reaches 0.0.0.0:9401 could post alerts" in in_force.refused
    assert in_force.settings.webhook.secret_file == "secret"


def test_what_needs_a_restart_are_settings():
    """A key that was renamed would be taken while the old socket or file is still open."""
    assert set(NEEDS_RESTART) <= set(keys_of(AlerterSettings))


def test_what_is_costly_to_make_is_made_again_only_when_its_part_changed():
    """Each mail would open everything anew, or go by the old settings for ever."""
    part, made = ["a"], []
    following = Following(lambda: part[0], lambda it: made.append(it) or it.upper())

    assert [following.now, following.now] == ["A", "A"]
    part[0] = "b"
    assert following.now == "B"
    assert made == ["a", "b"]


def test_a_sleeper_wakes_when_other_terms_are_in_force():
    """A shorter interval would hold only once the long one is over."""

    async def story():
        in_force = InForce(Terms(AlerterSettings()))
        sleeping = asyncio.create_task(in_force.sleep(3600))
        await asyncio.sleep(0)
        in_force.take(Terms(AlerterSettings()))
        await asyncio.wait_for(sleeping, 10)

    asyncio.run(story())
