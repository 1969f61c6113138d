from dataclasses import replace

import pytest

from alerts.mail_settings import MailSettings, bare_address, split_address
from alerts.server_settings import is_loopback

GOOD = MailSettings(
    host="smtp.example.com",
    username="me@example.com",
    password_file="/run/secrets/smtp",
    from_="gpuwarden <me@example.com>",
    to=("me@example.com",),
)


def test_good_settings_have_no_problems():
    """Without it a working configuration would be refused."""
    assert list(GOOD.problems()) == []
    assert list(MailSettings().problems()) == []
    assert list(replace(GOOD, host="localhost", security="none").problems()) == []


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"from_": ""}, ["from"]),
        ({"to": ()}, ["to"]),
        ({"from_": "me"}, ["from"]),
        ({"from_": "me@example.com\nBcc: x@y.z"}, ["from"]),
        ({"to": ("a@b.c", "a@b.c\r\nRCPT TO:<x@y.z>", "a b@c.d")}, ["to", "to"]),
        ({"to": ("李@example.com",)}, ["to"]),
        ({"to": ("a@b.c, x@y.z",)}, ["to"]),
        ({"password_file": None}, ["password_file"]),
        ({"username": None}, ["username"]),
        ({"security": "none"}, ["security"]),
        ({"port": 0}, ["port"]),
        ({"port": 70000}, ["port"]),
        ({"timeout": 0.0}, ["timeout"]),
        ({"host": "smtp example"}, ["host"]),
        ({"host": ""}, ["host"]),
    ],
)
def test_each_mistake_is_named(changes, keys):
    """Without it a wrong setting would show itself only when an alert should have arrived."""
    assert [key for key, _, _ in replace(GOOD, **changes).problems()] == keys


def test_addresses_with_and_without_names():
    """Without it the display name would be taken for a part of the address."""
    assert split_address("Ann <ann@example.com>") == ("Ann", "ann@example.com")
    assert bare_address("ann@example.com") == "ann@example.com"
    assert split_address("ann") is None
    assert bare_address("ann") == "ann"


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.5", True), ("::1", True), ("10.0.0.1", False), ("localhost.evil.test", False)],
)
def test_loopback_is_only_this_machine(host, local):
    """Without it a password could leave this machine unencrypted."""
    assert is_loopback(host) is local


def test_a_maildir_without_recipients_has_one():
    """Without it a machine without any mail settings would keep no alert at all."""
    assert MailSettings().recipients == ("gpuwarden <gpuwarden@localhost>",)
    assert MailSettings(to=("a@b.c",)).recipients == ("a@b.c",)
