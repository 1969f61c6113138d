import pytest

from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError


def load(tmp_path, text):
    file = tmp_path / "gpuwarden.yml"
    file.write_text(f"alerter:\n  {text}\n")
    return settings.load("alerter", AlerterSettings, config=file, environ={}).values


def test_how_often_people_are_told_is_theirs_to_set(tmp_path):
    """Somebody who wants no reminder of a critical alert gets six a day."""
    found = load(tmp_path, "notify: {repeat: {critical: 0, info: 1h}, flapping: {count: 0}}")
    assert found.notify.repeat.by_severity == {"critical": 0, "warning": 86_400, "info": 3600}
    assert found.policy.shortest_repeat == 3600
    assert found.notify.flapping.count == 0
    assert load(tmp_path, "notify: {repeat: {critical: 0, warning: 0}}").policy.shortest_repeat is None


def test_a_repeat_comes_early_only_where_alertmanager_posts(tmp_path):
    """A reminder is a minute early for no reason, or is lost because a post was a second early."""
    assert load(tmp_path, "judge: self").policy.repeats_early == 0
    assert load(tmp_path, "judge: alertmanager").policy.repeats_early > 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("notify: {repeat: {critical: 5s}}", r"gpuwarden.yml:2: alerter.notify.repeat.critical: is so short .*1m"),
        ("notify: {repeat: {fatal: 1h}}", r"notify.repeat.fatal: is not a known key"),
        ("notify: {flapping: {count: 1}}", r"gpuwarden.yml:2: alerter.notify.flapping.count: must be 2 or more"),
        ("notify: {flapping: {count: -3}}", r"flapping.count: must be 2 or more"),
        ("notify: {flapping: {within: 0}}", r"flapping.within: must be more than nothing"),
        ("notify: {flapping: {delay: 2h}}", r"flapping.longest: is shorter than delay"),
        ("notify: {flapping: {delay: 600}}", r"flapping.delay: must be a duration, .*600s"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, complaint):
    """A slip of the pen fills the inbox, or empties it, and nothing says where."""
    with pytest.raises(DocumentError, match=complaint):
        load(tmp_path, text)
