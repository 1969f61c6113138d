import logging
import os

import pytest

from gpuwarden.web_files import WebFiles
from tests.e2e.secure import Secrets

DEMANDED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


@pytest.fixture
def secrets(tmp_path):
    return Secrets(tmp_path)


def opened(secrets):
    return WebFiles(str(secrets.folder / "web.yml"))


def looks(files):
    """Two looks: a change is taken up when it has settled."""
    files.look()
    files.look()
    return files.current


def test_nothing_is_read_while_nothing_changes(secrets):
    """Passwords that are known would be forgotten each second, and cost their bcrypt again."""
    secrets.config()
    files = opened(secrets)

    assert files.current is looks(files)


def test_a_change_is_taken_up_once_it_has_settled(secrets):
    """A certificate would be read between it and its key, and refused with an alarming line."""
    secrets.config()
    files = opened(secrets)
    before = files.current
    secrets.issue()
    files.look()
    assert files.current is before
    secrets.issue()
    files.look()
    assert files.current is before
    files.look()
    assert files.current is not before
    assert files.current.tls.context is not before.tls.context


def test_a_link_that_points_elsewhere_is_a_change(secrets):
    """Renewals that swap links, as certbot's and Kubernetes's do, would not be noticed."""
    pem = secrets.folder / "server.pem"
    pem.rename(secrets.folder / "one.pem")
    pem.symlink_to("one.pem")
    secrets.config()
    files = opened(secrets)
    before = files.current
    (secrets.folder / "two.pem").write_bytes((secrets.folder / "one.pem").read_bytes())
    os.utime(secrets.folder / "two.pem", (0, 0))
    pem.unlink()
    pem.symlink_to("two.pem")

    assert looks(files) is not before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"tls": False}),
        ({}, {"auth": False}),
        ({"more": DEMANDED}, {}),
        ({"more": DEMANDED + "  client_allowed_sans: [prometheus]\n"}, {"more": DEMANDED}),
        ({"more": "  min_version: TLS13\n"}, {}),
        ({"more": "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n"}, {}),
    ],
    ids=["TLS", "password", "certificate", "name in the certificate", "version", "certificate if given"],
)
def test_a_running_page_does_not_become_more_open(secrets, caplog, before, after):
    """A file that is written half at the wrong moment would open the page to everybody."""
    secrets.config(**before)
    files = opened(secrets)
    held = files.current
    secrets.config(**after)

    assert looks(files) is held
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "no longer asks for" in caplog.text


def test_a_page_may_become_less_open(secrets):
    """Somebody who adds a password would be told that all is well, and it is not asked for."""
    secrets.config(auth=False)
    files = opened(secrets)
    secrets.config()

    assert looks(files).auth is not None


def test_a_file_that_is_mended_is_taken_up(secrets, caplog):
    """After one mistake, no change would ever be noticed again."""
    secrets.config()
    files = opened(secrets)
    before = files.current
    (secrets.folder / "server.key").unlink()
    assert looks(files) is before
    secrets.issue()
    assert looks(files) is not before
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_a_change_between_reading_and_looking_is_read(secrets, monkeypatch):
    """The new key of a pair would stay unread until somebody edits the file again."""
    secrets.config()
    files = opened(secrets)
    read = files._read

    def read_and_change(path):
        found = read(path)
        secrets.config(users="bob")
        return found

    monkeypatch.setattr(files, "_read", read_and_change)
    secrets.issue()
    between = looks(files)
    monkeypatch.undo()

    assert looks(files) is not between
