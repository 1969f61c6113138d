import datetime as dt

import pytest
import trustme

from gpuwarden.certificates import CertificateFileError, open_tls, validity
from gpuwarden.web_config import TlsServer
from tests.e2e.running import write


@pytest.fixture
def files(tmp_path):
    """A server's certificate, its key and its authority."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(tmp_path / "server.key")
    made.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


def settings(folder, **more):
    return TlsServer(cert_file=f"{folder}/server.pem", key_file=f"{folder}/server.key", **more)


@pytest.mark.parametrize("year", [1999, 2049, 2050, 2999])
def test_the_end_of_a_certificate_is_read_in_both_of_its_notations(year):
    """The log would name a wrong date, or not warn of an expired certificate."""
    end = dt.datetime(year, 2, 28, 23, 59, 58, tzinfo=dt.UTC)
    begin = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)
    pem = trustme.CA().issue_cert("box.lan", not_before=begin, not_after=end).cert_chain_pems[0].bytes().decode()

    assert validity(f"what openssl writes before it\n{pem}") == (begin, end)


@pytest.mark.parametrize("length", [1, 60, 200, 1200])
def test_names_of_any_length_are_walked_over(length):
    """A certificate with a long name would be refused."""
    authority = trustme.CA(organization_name="ü" * (length % 60), organization_unit_name="x" * min(length, 60))
    names = [f"{number}.example" for number in range(length // 10)]
    made = authority.issue_cert("box.lan", *names)
    begun, ended = validity(made.cert_chain_pems[0].bytes().decode())

    assert begun < dt.datetime.now(dt.UTC) < ended


def test_a_good_set_of_files_opens(files):
    """TLS would not start."""
    tls = open_tls(
        settings(files, client_auth_type="RequireAndVerifyClientCert", client_ca_file=f"{files}/ca.pem",
                 cipher_suites=("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",), max_version="TLS12")
    )  # fmt: skip

    assert tls.context.verify_mode.name == "CERT_REQUIRED"
    assert tls.context.maximum_version.name == "TLSv1_2"
    assert tls.context.get_ciphers()[-1]["name"] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_text_around_the_certificates_does_no_harm(files):
    """A bundle with names in it, as authorities hand them out, would be refused."""
    ca = files / "ca.pem"
    ca.write_bytes("# Société Générale\n".encode() + ca.read_bytes() + b"\n# end\n")

    assert open_tls(settings(files, client_auth_type="VerifyClientCertIfGiven", client_ca_file=str(ca)))


def other_key(folder):
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(folder / "server.key")


def broken_certificate(folder):
    good = (folder / "server.pem").read_text().splitlines()
    write(folder / "server.pem", [*good[:3], *good[6:]])


@pytest.mark.parametrize(
    ("damage", "key", "said"),
    [
        (lambda folder: (folder / "server.pem").unlink(), "cert_file", r"server\.pem cannot be read: No such file"),
        (lambda folder: write(folder / "server.pem", "hello"), "cert_file", r"server\.pem is not a PEM certificate"),
        (broken_certificate, "cert_file", r"server\.pem and .*server\.key cannot be used"),
        (lambda folder: write(folder / "server.key", "hello"), "key_file", r"server\.key is not a PEM private key"),
        (other_key, "key_file", r"server\.key does not belong to .*server\.pem"),
        (lambda folder: write(folder / "ca.pem", "hello"), "client_ca_file", r"ca\.pem holds no PEM certificate"),
    ],
    ids=["gone", "no certificate", "broken", "no key", "another key", "no authority"],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key(files, damage, key, said):
    """Somebody would read `PEM lib (_ssl.c:3862)` and not know which of three files is meant."""
    damage(files)
    with pytest.raises(CertificateFileError, match=said) as caught:
        open_tls(settings(files, client_auth_type="VerifyClientCertIfGiven", client_ca_file=f"{files}/ca.pem"))
    assert caught.value.key == key


def test_an_address_among_the_allowed_names_has_one_spelling(files):
    """A client with the right address would be kept out because it is written otherwise."""
    tls = open_tls(settings(files, client_allowed_sans=("fd00:0::1", "prometheus.lan")))

    assert tls.admits({"subjectAltName": (("IP Address", "FD00:0:0:0:0:0:0:1"),)})
    assert tls.admits({"subjectAltName": (("DNS", "other.lan"), ("DNS", "prometheus.lan"))})
    assert not tls.admits({"subjectAltName": (("DNS", "other.lan"),)})
    assert not tls.admits({})
    assert not tls.admits(None)
