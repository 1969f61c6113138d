import pytest

from alerts.store import FILE_NAME, StateInUseError, Store
from alerts.store_file import set_aside
from tests.e2e.running import run
from tests.golden.example_mails import FIRING


def state(tmp_path, *arguments):
    return run("state", *arguments, "--state", str(tmp_path / "state"), home=tmp_path)


def test_the_state_can_be_looked_at_while_an_alerter_works_on_it(tmp_path):
    """Who is worried about a disk would have to stop the alerting to look."""
    with Store.open(tmp_path / "state") as store:
        store.commit_round({}, [FIRING])
        ended = state(tmp_path, "check")
        store.commit_round({}, [])

    assert ended.returncode == 0
    assert "is whole: 0 alerts are remembered, 0 mails wait, 0 are given up" in ended.stdout


def test_a_state_in_use_is_not_set_aside(tmp_path):
    """The running alerter would go on writing into the file that was put away."""
    with Store.open(tmp_path), pytest.raises(StateInUseError):
        set_aside(tmp_path)
    assert (tmp_path / FILE_NAME).exists()


def test_where_there_is_no_state_it_is_said(tmp_path):
    """A typing error in the folder's name would look like a whole state."""
    ended = state(tmp_path, "check")

    assert ended.returncode == 1
    assert ended.stderr == f"there is no state file {tmp_path / 'state' / FILE_NAME}\n"


def test_what_belongs_to_the_file_goes_along_with_it(tmp_path):
    """The newest mails are in the file beside it, and would be lost with the next start."""
    folder = tmp_path / "state"
    Store.open(folder).close()
    (folder / f"{FILE_NAME}-wal").write_bytes(b"newest")
    kept = set_aside(folder)

    assert kept.name.startswith(f"{FILE_NAME}.damaged-2")
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"newest"
    Store.open(folder).close()
