import asyncio
import base64

import httpx
import pytest
import trustme

from alerts import scrape
from alerts.scrape_settings import ScrapeFileError, ScrapeSettings
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError
from tests.e2e.running import write


def visited(access, target):
    """The scrape of a target that is not there, and what it was shown."""
    seen = []

    async def target_app(scope, receive, send):
        seen.append(dict(scope["headers"]).get(b"authorization"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a 1\n"})

    async def main():
        async with access.client() as client:
            client._transport = httpx.ASGITransport(target_app)
            return await scrape.fetch(client, target, 0, 5, frozenset("a"))

    return asyncio.run(main()), seen


def basic(text):
    return b"Basic " + base64.b64encode(text.encode())


def test_the_password_is_read_at_each_visit(tmp_path):
    """A new password would need a restart of the alerter."""
    password = write(tmp_path / "password", "first\n")
    access = ScrapeSettings(username="alice", password_file=str(password))
    _, before = visited(access, "http://box:9400/metrics")
    write(password, "second")
    _, after = visited(access, "http://box:9400/metrics")

    assert (before, after) == ([basic("alice:first")], [basic("alice:second")])


def test_a_name_in_the_url_goes_before(tmp_path):
    """One target with a password of its own could not be watched beside the others."""
    access = ScrapeSettings(username="alice", password_file=str(write(tmp_path / "password", "x")))
    _, seen = visited(access, "http://bob:secret@box:9400/metrics")

    assert seen == [basic("bob:secret")]


def test_without_a_name_nobody_logs_in():
    """Targets that need no password would be shown one."""
    assert visited(ScrapeSettings(), "http://box:9400/metrics")[1] == [None]


def test_a_password_file_that_is_gone_is_a_failed_visit(tmp_path):
    """The rounds would end with a traceback."""
    access = ScrapeSettings(username="alice", password_file=str(tmp_path / "gone"))
    visit, seen = visited(access, "http://box:9400/metrics")

    assert visit.error == f"{tmp_path}/gone cannot be read: No such file or directory"
    assert seen == []


@pytest.mark.parametrize(
    "access",
    [ScrapeSettings(ca_file="gone.pem"), ScrapeSettings(cert_file="gone.pem")],
    ids=["authority", "certificate"],
)
def test_a_certificate_that_cannot_be_read_is_said(access):
    """The alerter would start and find every target gone."""
    with pytest.raises(ScrapeFileError, match=r"alerter\.scrape: gone\.pem cannot be used: .*No such file"):
        access.client()


def test_certificates_are_taken(tmp_path):
    """An alerter could not visit a target with its own authority or that asks for a certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("alerter").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")

    assert ScrapeSettings(ca_file=f"{tmp_path}/ca.pem", cert_file=f"{tmp_path}/own.pem").client()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{username: alice}", "alerter.scrape.password_file: is missing: username is given"),
        ("{password_file: x}", "alerter.scrape.username: is missing: password_file is given"),
        ("{key_file: x}", "alerter.scrape.cert_file: is missing: the key belongs to a certificate"),
        ("{ca_fil: x}", "alerter.scrape.ca_fil: is not a known key (did you mean 'ca_file'?)"),
    ],
)
def test_mistakes_are_named(tmp_path, written, said):
    """Half a login would be sent, or none, without a word."""
    file = write(tmp_path / "gpuwarden.yml", f"alerter:\n  scrape: {written}\n")
    with pytest.raises(DocumentError) as caught:
        settings.load("alerter", AlerterSettings, config=file, environ={})
    assert said in str(caught.value)
