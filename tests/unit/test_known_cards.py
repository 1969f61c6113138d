import json

import pytest

from exporter.known_cards import FILE, KnownCards, StateFolderError


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


def test_a_card_that_was_seen_is_known_to_the_next_run(tmp_path):
    """A card that died while the box was off would never be missed."""
    first = KnownCards(tmp_path / "state", Clock())
    first.seen("GPU-a", "0", {"name": "RTX 3060"}, 12.5)
    assert first.exchange() == (frozenset(), True)

    again = KnownCards(tmp_path / "state").cards()["GPU-a"]
    assert (again.index, again.info, again.energy_joules, again.seen_at) == ("0", {"name": "RTX 3060"}, 12.5, Clock.now)


def test_a_card_that_somebody_forgets_is_forgotten_by_the_running_exporter(tmp_path):
    """A card that was sold would be reported as lost for ever."""
    running = KnownCards(tmp_path)
    running.seen("GPU-a", "0", {}, None)
    running.seen("GPU-b", "1", {}, None)
    running.exchange()

    assert KnownCards(tmp_path).forget("GPU-a").index == "0"
    assert KnownCards(tmp_path).forget("GPU-a") is None

    assert running.exchange() == (frozenset({"GPU-a"}), True)
    assert set(running.cards()) == {"GPU-b"}
    assert running.exchange() == (frozenset(), True)


def test_a_box_with_nothing_new_to_say_is_not_written_to(tmp_path):
    """A disk would never come to rest."""
    clock = Clock()
    known = KnownCards(tmp_path, clock)
    known.seen("GPU-a", "0", {}, None)
    known.exchange()
    before = (tmp_path / FILE).stat()
    clock.now += 600
    known.seen("GPU-a", "0", {}, None)
    known.exchange()
    assert (tmp_path / FILE).stat().st_ino == before.st_ino
    clock.now += 3600
    known.seen("GPU-a", "0", {}, None)
    known.exchange()
    assert (tmp_path / FILE).stat().st_ino != before.st_ino


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"cards": {"GPU-a": 3}}', '{"cards": {"GPU-a": {"index": "0", "seen_at": []}}}']
)
def test_a_damaged_file_costs_the_memory_and_nothing_else(tmp_path, caplog, text):
    """The exporter would not start after a power loss."""
    (tmp_path / FILE).write_text(text)
    known = KnownCards(tmp_path)
    assert known.cards() == {}
    assert FILE in caplog.text
    known.seen("GPU-a", "0", {}, None)
    known.exchange()
    assert set(json.loads((tmp_path / FILE).read_text())["cards"]) == {"GPU-a"}


def test_a_folder_that_cannot_be_written_is_said_once_and_tried_again(tmp_path, caplog):
    """The log of an exporter with a read-only disk would fill, or the disk's repair would go unnoticed."""
    (tmp_path / "state").write_text("in the way")
    known = KnownCards(tmp_path / "state" / "exporter")
    known.seen("GPU-a", "0", {}, None)
    for _ in range(3):
        assert known.exchange() == (frozenset(), False)
    assert caplog.text.count("not kept over a restart") == 1
    with pytest.raises(StateFolderError, match="state"):
        known.forget("GPU-a")
    (tmp_path / "state").unlink()
    assert known.exchange() == (frozenset(), True)


def test_a_file_that_turns_unreadable_forgets_nobody(tmp_path):
    """A damaged file would take lost cards off the page, and the alert about them with it."""
    running = KnownCards(tmp_path)
    running.seen("GPU-a", "0", {}, None)
    running.exchange()
    (tmp_path / FILE).write_text("{")

    assert running.exchange() == (frozenset(), True)
    assert set(running.cards()) == {"GPU-a"}
    assert set(KnownCards(tmp_path).cards()) == {"GPU-a"}
