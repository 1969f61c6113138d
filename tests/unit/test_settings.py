from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpuwarden.documents import DocumentError
from gpuwarden.settings import find_file, load
from gpuwarden.units import Duration


@dataclass(frozen=True)
class Mail:
    host: str | None = None
    port: int = 587
    from_: str = ""
    to: tuple[str, ...] = ()

    def problems(self) -> Iterator[tuple[str, str, str]]:
        if self.host and not self.to:
            yield "to", "is needed", "write me@example.com"


@dataclass(frozen=True)
class Section:
    listen: str = "127.0.0.1:9401"
    interval: Duration = Duration(5.0)  # noqa: RUF009 -- a number
    demo: bool = False
    mail: Mail = field(default_factory=Mail)


def section(tmp_path, text="", environ=None, **flags):
    file = tmp_path / "gpuwarden.yml"
    file.write_text(text)
    return load("alerter", Section, config=file, environ=environ or {}, flags=flags)


def test_each_layer_overrides_the_one_below_it(tmp_path):
    """A flag given in haste would lose against an old file."""
    loaded = section(
        tmp_path,
        "alerter:\n  interval: 7s\n  listen: :1\n  mail:\n    host: x\n    from: me\n    port: 25\n",
        {
            "GPUWARDEN_ALERTER_MAIL_TO": "a@b, c@d",
            "GPUWARDEN_ALERTER_MAIL_PORT": "26",
            "GPUWARDEN_ALERTER_DEMO": "true",
        },
        listen=":2",
    )

    expected = Section(":2", Duration(7), demo=True, mail=Mail("x", 26, "me", ("a@b", "c@d")))
    assert loaded.values == expected


def test_each_value_knows_where_it_was_written(tmp_path):
    """A user could not find which of three places sets a value."""
    loaded = section(tmp_path, "alerter:\n  mail:\n    host: x\n", {"GPUWARDEN_ALERTER_MAIL_TO": "a@b"}, interval="1s")

    assert loaded.origins == {
        ("mail", "host"): f"{tmp_path}/gpuwarden.yml:3",
        ("mail", "to"): "GPUWARDEN_ALERTER_MAIL_TO",
        ("interval",): "--interval",
    }


@pytest.mark.parametrize(
    ("text", "environ", "flags", "message"),
    [
        ("exportr: {}", {}, {}, "gpuwarden.yml:1: exportr: is not a section (did you mean 'exporter'?)"),
        ("alerter: 5", {}, {}, "gpuwarden.yml:1: alerter: must be a mapping"),
        ("alerter: {mail: [1]}", {"GPUWARDEN_ALERTER_MAIL_PORT": "5"}, {}, "alerter.mail: must be a mapping"),
        ("alerter:\n  mail: {host: x}", {}, {}, "gpuwarden.yml:2: alerter.mail.to: is needed (write me@example.com)"),
        (
            "",
            {"GPUWARDEN_ALERTER_MAIL_PORT": "abc"},
            {},
            "GPUWARDEN_ALERTER_MAIL_PORT: alerter.mail.port: must be a who",
        ),
        ("", {"GPUWARDEN_ALERTER_MAIL_PORT": "2024-99-99"}, {}, "alerter.mail.port: must be a whole number"),
        ("", {"GPUWARDEN_ALERTER_MIAL_PORT": "1"}, {}, "(did you mean GPUWARDEN_ALERTER_MAIL_PORT?)"),
        ("", {}, {"interval": "5 s"}, "--interval: alerter.interval: '5 s' is not a duration"),
    ],
)
def test_a_mistake_names_the_place_where_it_was_made(tmp_path, text, environ, flags, message):
    """A user would search a file for a mistake that an environment variable made."""
    with pytest.raises(DocumentError) as caught:
        section(tmp_path, text, environ, **flags)

    assert message in str(caught.value)


def test_the_other_sections_are_left_to_their_owners(tmp_path):
    """The alerter would refuse to start over a setting of the exporter."""
    assert section(tmp_path, "exporter: {whatever: 1}\n").values == Section()


def test_the_users_file_is_found_without_being_named(tmp_path, monkeypatch):
    """A settings file in its documented place would be ignored."""
    monkeypatch.chdir(tmp_path)
    users = tmp_path / "home" / "gpuwarden" / "gpuwarden.yml"
    users.parent.mkdir(parents=True)
    users.write_text("")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "home")}

    assert find_file(None, environ) == users
    Path("gpuwarden.yml").write_text("")
    assert find_file(None, environ) == Path("gpuwarden.yml")
    assert find_file(Path("other.yml"), environ) == Path("other.yml")
