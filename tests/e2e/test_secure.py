"""The exporter behind TLS, client certificates and passwords, over real connections."""

import contextlib
import datetime as dt
import shutil
import socket
import ssl
import subprocess

import httpx
import pytest
import trustme

from tests.e2e.running import CLIENT, run, write
from tests.e2e.secure import PASSWORD, Secrets, serving
from tests.polling import wait_until

ALICE = ("alice", PASSWORD)


@pytest.fixture
def secrets(tmp_path):
    return Secrets(tmp_path)


def serial(url):
    """The serial number of the certificate that a new connection is shown."""
    port = int(url.rpartition(":")[2])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as connection:
        return connection.getpeercert(binary_form=True)


def test_the_page_is_served_over_tls_and_the_log_says_until_when(secrets):
    """The page would go over the network in the clear, or a certificate would expire without a word."""
    secrets.issue(not_after=dt.datetime(2090, 5, 17, 8, 30, tzinfo=dt.UTC))
    secrets.config(auth=False)
    with serving(secrets) as (process, url):
        answer = secrets.get(url)
        process.wait_for("the certificate is valid until 2090-05-17 08:30 UTC")
        with pytest.raises(httpx.HTTPError):
            CLIENT.get(url.replace("https", "http"))

    assert url.startswith("https://")
    assert answer.status_code == 200
    assert "gpu_up" in answer.text


def test_an_expired_certificate_is_warned_of(secrets):
    """Scrapes would fail with nothing on the exporter's side that says why."""
    secrets.issue(not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    secrets.config(auth=False)
    with serving(secrets) as (process, _):
        process.wait_for("WARNING .*the certificate has expired at 2020-01-01 00:00 UTC")


def test_nothing_is_answered_without_the_password(secrets):
    """Anybody on the network would read who holds what on the cards."""
    secrets.config(tls=False)
    with serving(secrets) as (process, url):
        right = secrets.get(url, auth=ALICE)
        refused = [
            secrets.get(url, path, auth=auth)
            for path in ("/metrics", "/", "/status", "/-/healthy", "/-/ready", "/nothing")
            for auth in (None, ("alice", "wrong"), ("bob", PASSWORD))
        ]

    assert right.status_code == 200
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.headers["www-authenticate"] for answer in refused} == {"Basic"}
    assert not [secret for secret in (PASSWORD, "wrong", "$2b$") if secret in process.output]


def test_a_client_certificate_is_asked_for_and_checked(secrets):
    """Anybody with any certificate, or none, would be let in."""
    secrets.config(
        auth=False,
        more="  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
        "  client_allowed_sans: [prometheus.lan]\n",
    )
    with serving(secrets) as (_, url):
        right = secrets.get(url, client=secrets.client_pem("prometheus.lan"))
        for client in (None, secrets.client_pem("other.lan"), secrets.client_pem("prometheus.lan", trustme.CA())):
            with pytest.raises(httpx.HTTPError):
                secrets.get(url, client=client)

    assert right.status_code == 200


def test_old_tls_is_refused(secrets):
    """A page said to want TLS 1.3 would be read over something older."""
    secrets.config(auth=False, more="  min_version: TLS13\n")
    with serving(secrets) as (_, url):
        context = secrets.trust()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with httpx.Client(verify=context, trust_env=False) as http, pytest.raises(httpx.HTTPError):
            http.get(url)
        assert secrets.get(url).status_code == 200


def test_headers_are_on_every_answer(secrets):
    """Headers that the file promises would be missing, also from refusals."""
    path = secrets.config(tls=False)
    path.write_text(path.read_text() + "http_server_config:\n  headers: {X-Content-Type-Options: nosniff}\n")
    with serving(secrets) as (_, url):
        answers = [secrets.get(url, auth=ALICE), secrets.get(url)]

    assert [answer.headers["x-content-type-options"] for answer in answers] == ["nosniff", "nosniff"]


def test_a_new_certificate_is_shown_while_kept_connections_go_on(secrets):
    """Each renewal would need a restart, or tear scrapes apart."""
    secrets.config(auth=False)
    with serving(secrets) as (process, url):
        with httpx.Client(verify=secrets.trust(), trust_env=False) as kept:
            kept.get(url)
            connection = kept._transport._pool.connections[0]
            before = serial(url)
            secrets.issue()
            wait_until(lambda: serial(url) != before, 10, "the old certificate is still shown")
            assert kept.get(url).status_code == 200
            assert kept._transport._pool.connections[0] is connection
        process.wait_for("web.yml was read again")
        assert secrets.get(url).status_code == 200


def test_new_users_hold_at_once(secrets):
    """A password that was taken away would open the page until the next restart."""
    secrets.config(tls=False)
    with serving(secrets) as (_, url):
        assert secrets.get(url, auth=ALICE).status_code == 200
        secrets.config(tls=False, users="bob")
        wait_until(lambda: secrets.get(url, auth=("bob", PASSWORD)).status_code == 200, 10, "bob is not let in")
        assert secrets.get(url, auth=ALICE).status_code == 401


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: write(folder / "server.key", "half a k"),
            r"web\.yml:3: .*server\.key is not a PEM private key",
        ),
        (lambda folder: write(folder / "web.yml", "tls_server_config: {"), r"web\.yml:1: is not YAML"),
        (lambda folder: (folder / "server.pem").unlink(), r"web\.yml:2: .*server\.pem cannot be read"),
        (lambda folder: write(folder / "web.yml", ""), r"web\.yml no longer asks for TLS; only a restart"),
    ],
    ids=["key", "yaml", "no certificate", "emptied"],
)
def test_a_broken_file_keeps_what_was_and_says_so_once(secrets, damage, said):
    """A mistake in an editor would take the page away, or open it to everybody."""
    secrets.config()
    with serving(secrets) as (process, url):
        good = (secrets.folder / "web.yml").read_text()
        damage(secrets.folder)
        process.wait_for(f"what was read before stays in force: .*{said}")
        assert secrets.get(url, auth=ALICE).status_code == 200
        assert secrets.get(url).status_code == 401
        secrets.issue()
        write(secrets.folder / "web.yml", good)
        process.wait_for("was read again")

    assert len([line for line in process.lines if "stays in force" in line]) == 1


def test_a_wrong_file_at_the_start_is_refused(secrets):
    """The exporter would start without the protection that was asked for."""
    secrets.config()
    (secrets.folder / "server.key").unlink()
    ended = run("exporter", "--demo", "--listen", "127.0.0.1:0", "--web-config", "web.yml", home=secrets.folder)

    assert ended.returncode == 2
    assert "web.yml:3: tls_server_config.key_file: server.key cannot be read" in ended.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_key_with_a_passphrase_is_refused_without_asking(secrets):
    """The exporter would wait at a prompt that nobody sees."""
    secrets.config()
    key = secrets.folder / "server.key"
    made = ("openssl", "pkcs8", "-topk8", "-in", str(key), "-out", f"{key}.new", "-passout", "pass:x")
    subprocess.run(made, check=True)
    key.with_suffix(".key.new").replace(key)
    ended = run("exporter", "--demo", "--listen", "127.0.0.1:0", "--web-config", "web.yml", home=secrets.folder)

    assert ended.returncode == 2
    assert "needs a passphrase" in ended.stderr


def test_handshakes_that_do_not_end_keep_nobody_out(secrets):
    """Clients that never finish a handshake would blind Prometheus, uncounted."""
    secrets.config(auth=False)
    with serving(secrets) as (_, url), contextlib.ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        assert secrets.get(url).status_code == 200
