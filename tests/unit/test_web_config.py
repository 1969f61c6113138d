import pathlib
import re

import bcrypt
import pytest

from gpuwarden.documents import DocumentError
from gpuwarden.web_config import load_web_config
from gpuwarden.web_files import WebFiles
from tests.e2e.running import write

BAD = pathlib.Path(__file__).parent / "bad_web_configs"
HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.yml")))
def test_mistake_is_named_with_file_line_key_and_hint(case):
    """Somebody with a wrong web-config file is not told where and what, or serves a page more open than they meant."""
    with pytest.raises(DocumentError) as caught:
        WebFiles(str(BAD / f"{case}.yml"))
    assert str(caught.value).replace(f"{BAD}/", "") + "\n" == (BAD / f"{case}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.txt")))
def test_no_mistake_shows_a_password_or_a_hash(case):
    """A password would stand in the log of whoever reads the complaint."""
    said = (BAD / f"{case}.txt").read_text(encoding="utf-8")
    assert not [secret for secret in ("hunter2", "12345678", "$2b$") if secret in said]


def test_every_key_reaches_the_settings(tmp_path):
    """A key that was written has no effect."""
    lines = f"""
tls_server_config:
  cert_file: server.pem
  key_file: /etc/ssl/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.lan, "::0001"]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
http_server_config:
  http2: false
  headers:
    X-Frame-Options: DENY
    X-XSS-Protection: ""
basic_auth_users:
  alice: {HASH}
"""
    config, _ = load_web_config(write(tmp_path / "web.yml", lines))
    tls = config.tls_server_config

    assert (tls.cert_file, tls.key_file) == (f"{tmp_path}/server.pem", "/etc/ssl/server.key")
    assert (tls.client_ca_file, tls.client_auth_type) == (f"{tmp_path}/ca.pem", "RequireAndVerifyClientCert")
    assert (tls.min_version, tls.max_version, tls.prefer_server_cipher_suites) == ("TLS13", "TLS13", False)
    assert tls.cipher_suites == ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",)
    assert tls.san_names == {"prometheus.lan", "::1"}
    assert config.headers == [(b"x-frame-options", b"DENY")]
    assert config.hashes == {"alice": HASH}


def test_the_documented_example_is_taken(tmp_path):
    """Who copies the example from the page, or takes its lines into use, would be refused."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "security.md").read_text()
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "tls_server_config" in block)
    assert load_web_config(write(tmp_path / "web.yml", example))[0].hashes
    whole = re.sub(r"# (?=client_|min_)", "", example)
    config, _ = load_web_config(write(tmp_path / "whole.yml", whole))
    assert config.tls_server_config.client_allowed_sans == ("prometheus.example",)
    assert config.tls_server_config.min_version == "TLS13"


def test_an_empty_file_asks_for_nothing(tmp_path):
    """A file prepared for later would be refused, which exporters do not do."""
    web = WebFiles(str(write(tmp_path / "web.yml", "# nothing yet\n")))

    assert web.scheme == "http"
    assert web.current.auth is None


@pytest.mark.parametrize("letter", ["a", "b", "y"])
def test_hashes_of_every_tool_are_taken(tmp_path, letter):
    """A hash made by htpasswd, which writes $2y$, would be refused."""
    config, _ = load_web_config(
        write(tmp_path / "web.yml", f"basic_auth_users:\n  alice: {HASH.replace('$2b$', f'$2{letter}$')}\n")
    )
    assert list(config.hashes) == ["alice"]


def test_settings_do_not_print_hashes(tmp_path):
    """A traceback or a debug line would show the hashes."""
    config, _ = load_web_config(write(tmp_path / "web.yml", f"basic_auth_users:\n  alice: {HASH}\n"))
    assert HASH not in repr(config)
