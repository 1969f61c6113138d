import json

import pytest

from alerts import silence_rows
from alerts.expressions import costs_little
from alerts.matcher_text import MatcherError, read_matcher, write_matcher
from alerts.silence_document import MOST_MATCHERS, BadSilenceError, document_of, parse_silence
from alerts.silence_rows import KEPT_SECONDS, NoSuchSilenceError, TooManySilencesError
from alerts.silences import adding
from alerts.store import Store

NOW = 1_800_000_000.0
START, END = "2027-01-15T08:00:00Z", "2027-01-15T09:00:00.5+01:00"
GPU = {"name": "gpu", "value": "2", "isRegex": False}


def asked(*matchers, **keys):
    """What a client posts at NOW, which is START."""
    return {"matchers": list(matchers) or [GPU], "startsAt": START, "endsAt": "2027-01-15T09:00:00Z", **keys}


def test_a_silence_comes_back_as_it_was_posted():
    """Clients of Alertmanager would show another silence than the one that holds."""
    matchers = [
        GPU,
        {"name": "model", "value": "gpt.*", "isRegex": True, "isEqual": True},
        {"name": "user", "value": "ann", "isRegex": False, "isEqual": False},
        {"name": "job", "value": "a|b", "isRegex": True, "isEqual": False},
    ]
    silence = parse_silence(asked(*matchers, createdBy="ann", comment="known\n显存"), NOW, "id1")
    shown = document_of(silence, NOW)

    assert [str(matcher) for matcher in silence.matchers] == ['gpu="2"', 'model=~"gpt.*"', 'user!="ann"', 'job!~"a|b"']
    assert shown["matchers"] == [GPU | {"isEqual": True}, *matchers[1:]]
    assert (shown["id"], shown["createdBy"], shown["comment"]) == ("id1", "ann", "known 显存")
    assert (shown["startsAt"], shown["endsAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T09:00:00.000Z")
    assert [document_of(silence, moment)["status"]["state"] for moment in (NOW - 1, NOW, NOW + 3600)] == [
        "pending",
        "active",
        "expired",
    ]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "a silence is a JSON object"),
        (asked(startsAt=None), "startsAt and endsAt must be times"),
        (asked(endsAt="tomorrow"), "startsAt and endsAt must be times"),
        (asked(endsAt=START), "over before it begins"),
        (asked(startsAt="2026-01-01T00:00:00Z", endsAt="2026-01-02T00:00:00Z"), "over already"),
        (asked(endsAt="2099-01-01T00:00:00Z"), "ten years at most"),
        (asked() | {"matchers": []}, "one to 20 matchers"),
        (asked(*[GPU] * (MOST_MATCHERS + 1)), "one to 20 matchers"),
        (asked("gpu=2"), "a matcher is a JSON object"),
        (asked({"name": "gpu", "value": 2}), "the value for 'gpu' is not a text"),
        (asked({"name": "gpu", "value": "x" * 1001}), "at most 1000 characters"),
        (asked({"name": "", "value": "2"}), "has no name"),
        (asked({"name": "gpu", "value": ""}), "at least one matcher must ask"),
        (asked({"name": "gpu", "value": ".*", "isRegex": True}), "at least one matcher must ask"),
        (asked({"name": "gpu", "value": "2", "isRegex": False, "isEqual": False}), "at least one matcher must ask"),
        (asked({"name": "gpu", "value": "(", "isRegex": True}), "the expression is not a regular expression"),
        (asked({"name": "gpu", "value": "(a+)+", "isRegex": True}), "at most three repeats"),
        (asked(comment=7), "comment is not a text"),
    ],
)
def test_what_is_no_silence_is_refused_in_words(document, said):
    """A typing mistake would silence everything, or a made-up expression would hold the alerter up for hours."""
    with pytest.raises(BadSilenceError) as caught:
        parse_silence(document, NOW, "id")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cheap"),
    [
        ("gpt.*", True),
        ("0|1|2", True),
        (".*a.*b.*", True),
        ("(?:train|serve)_.*", True),
        ("a?b?", True),
        ("[a-z]+\\.example", True),
        (".*.*.*.*", False),
        ("(a+)+", False),
        ("(a|a)*", False),
        ("(a|ab)+c", False),
        ("(?:(a|b)c)*", False),
        ("(a?)*", False),
        ("((a{2,3}))+", False),
    ],
)
def test_an_expression_that_could_take_hours_is_told_from_one_that_cannot(text, cheap):
    """A label that was made for it would stop all alerts, or everyday expressions would be refused."""
    assert costs_little(text) is cheap


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("gpu=2", ("gpu", "=", "2")),
        (' gpu != "2" ', ("gpu", "!=", "2")),
        ("model=~gpt.*", ("model", "=~", "gpt.*")),
        ('model!~"a|b"', ("model", "!~", "a|b")),
        (r'note="a\"b\\n\n=~"', ("note", "=", 'a"b\\n\n=~')),
        ("note=", ("note", "=", "")),
        ("note=a=b", ("note", "=", "a=b")),
    ],
)
def test_matchers_are_read_as_amtool_reads_them(text, read):
    """The command in a mail would silence something else than Alertmanager's own tool."""
    assert read_matcher(text) == read
    assert read_matcher(write_matcher(*read)) == read


@pytest.mark.parametrize("text", ["gpu", "=2", "gpu~2", 'gpu="2', "1gpu=2", ""])
def test_what_is_no_matcher_is_refused(text):
    """A typing mistake would silence nothing, and its author would believe that it does."""
    with pytest.raises(MatcherError):
        read_matcher(text)


class TestRows:
    @staticmethod
    def add(store, **keys):
        return store.change(adding(asked(**keys), NOW)).id

    def test_they_end_and_are_forgotten_in_time(self, tmp_path):
        """The state would fill with silences of last year, or the list would not show what has just ended."""
        with Store.open(tmp_path) as store:
            identity = self.add(store)
            store.change(silence_rows.end, identity, NOW + 5.0005)
            (ended,) = store.read(silence_rows.everything).values()
            assert (ended.starts_at, ended.ends_at, ended.has_ended(NOW + 5.0005)) == (NOW, NOW + 5, True)
            store.change(silence_rows.end, identity, NOW + 9)
            assert store.read(silence_rows.everything)[identity].ends_at == NOW + 5
            later = parse_silence(asked(endsAt="2027-02-01T00:00:00Z"), NOW, "later")
            store.change(silence_rows.put, later, NOW + KEPT_SECONDS + 6)
            assert list(store.read(silence_rows.everything)) == ["later"]

    def test_one_that_has_not_begun_ends_at_once(self, tmp_path):
        """A silence that was planned by mistake could not be taken back."""
        with Store.open(tmp_path) as store:
            identity = self.add(store, startsAt="2027-01-15T08:30:00Z")
            store.change(silence_rows.end, identity, NOW)
            (ended,) = store.read(silence_rows.everything).values()
            assert (ended.starts_at, ended.ends_at) == (NOW, NOW)

    def test_one_is_changed_in_its_place_and_an_unknown_one_is_refused(self, tmp_path):
        """A silence that is made longer would be two, or one that has ended would come back."""
        with Store.open(tmp_path) as store:
            identity = self.add(store)
            assert self.add(store, id=identity, comment="longer") == identity
            (changed,) = store.read(silence_rows.everything).values()
            assert changed.comment == "longer"
            with pytest.raises(NoSuchSilenceError):
                self.add(store, id="x")
            store.change(silence_rows.end, identity, NOW)
            with pytest.raises(NoSuchSilenceError):
                self.add(store, id=identity)
            with pytest.raises(NoSuchSilenceError):
                store.change(silence_rows.end, "x", NOW)

    def test_their_number_is_bounded_and_ended_ones_make_room(self, tmp_path, monkeypatch):
        """A script that goes wrong would fill the disk that mails need, or lock everybody out for five days."""
        monkeypatch.setattr(silence_rows, "MOST_SILENCES", 5)
        monkeypatch.setattr(silence_rows, "MOST_ENDED", 2)
        with Store.open(tmp_path) as store:
            found = [self.add(store) for _ in range(5)]
            with pytest.raises(TooManySilencesError):
                self.add(store)
            for number, identity in enumerate(found[:4]):
                store.change(silence_rows.end, identity, NOW + number)
            store.change(adding(asked(), NOW + 9))
            assert len(store.read(silence_rows.everything)) == 4

    def test_a_row_that_cannot_be_read_costs_only_itself(self, tmp_path, caplog):
        """A damaged file would keep the alerter from starting."""
        with Store.open(tmp_path) as store:
            identity = self.add(store)
            store._connection.execute("INSERT INTO silences VALUES ('a', 1, '{'), ('b', 1, ?)", [json.dumps({})])
            assert list(store.read(silence_rows.everything)) == [identity]
        assert caplog.text.count("is left out, it cannot be read") == 2
