import pytest

from alerts.settings import AlerterSettings
from gpuwarden.documents import DocumentError
from gpuwarden.settings import load


def settings(tmp_path, text):
    file = tmp_path / "gpuwarden.yml"
    file.write_text(f"alerter: {text}\n")
    return load("alerter", AlerterSettings, config=file, environ={}).values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{judge: alertmanager, listen: '0.0.0.0:9401'}",
            "alerter.webhook.secret_file: anyone who reaches 0.0.0.0:9401",
        ),
        ("{judge: alertmanager, listen: 'box.example.com:9401'}", "alerter.webhook.secret_file"),
        ("{judge: prometheus}", "alerter.judge: 'prometheus' is not one of self, alertmanager"),
        ("{prometheus: {url: 'prometheus:9090'}}", "alerter.prometheus.url: is not an http or https URL"),
        ("{prometheus: {url: ''}}", "alerter.prometheus.url"),
        ("{webhook: {secret_file: ''}}", "alerter.webhook.secret_file: is empty"),
        ("{webhook: {secret: x}}", "did you mean 'secret_file'?"),
    ],
)
def test_a_door_left_open_or_a_typing_mistake_is_refused_at_the_start(tmp_path, text, said):
    """The webhook would be open to the network, or mails would lack their evidence without a word."""
    with pytest.raises(DocumentError) as caught:
        settings(tmp_path, text)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{judge: alertmanager}",
        "{judge: alertmanager, targets: []}",
        "{judge: alertmanager, listen: '[::1]:9401'}",
        "{judge: alertmanager, listen: '0.0.0.0:9401', webhook: {secret_file: /run/secrets/webhook}}",
        "{listen: '0.0.0.0:9401', prometheus: {url: 'https://ann:pw@prometheus.example.com/prefix'}}",
    ],
)
def test_what_is_safe_is_taken(tmp_path, text):
    """A sound setting would keep the alerter from starting."""
    assert settings(tmp_path, text).judge in {"self", "alertmanager"}


@pytest.mark.parametrize(
    ("demo", "judge", "marked"),
    [(True, "alertmanager", True), (True, "self", False), (False, "alertmanager", False)],
)
def test_a_demo_that_alertmanager_judges_is_marked_throughout(demo, judge, marked):
    """Its mails would look real, since a post does not say that its readings are simulated."""
    assert AlerterSettings(demo=demo, judge=judge).all_simulated is marked
