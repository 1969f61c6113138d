import pytest

from exporter.settings import ExporterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError

GROUPS = """\
exporter:
  expect_gpus: 2
  workloads:
    - name: cnn
      process: "resnet.*|yolo.*"
      budget: 0.8
    - name: gpt
      container: trainer
"""

MISTAKES = """\
exporter:
  expect_gpus: many
  process_limit: 0
  workloads:
    - name: cnn
      process: "resnet("
    - name: gpt
    - name: cnn
      user: me
      budget: 80
"""


def load(tmp_path, text, environ=None):
    file = tmp_path / "gpuwarden.yml"
    file.write_text(text)
    return settings.load("exporter", ExporterSettings, config=file, environ=environ or {}).values


def test_groups_and_the_number_of_cards_can_be_set(tmp_path):
    """A user could not say what the box is meant to hold and run."""
    found = load(tmp_path, GROUPS)

    assert found.expect_gpus == 2
    assert [(group.name, group.process, group.container, group.budget) for group in found.workloads] == [
        ("cnn", "resnet.*|yolo.*", None, 0.8),
        ("gpt", None, "trainer", None),
    ]
    assert load(tmp_path, GROUPS, {"GPUWARDEN_EXPORTER_EXPECT_GPUS": "4"}).expect_gpus == 4
    assert load(tmp_path, GROUPS, {"GPUWARDEN_EXPORTER_EXPECT_GPUS": "auto"}).expect_gpus == "auto"


def test_a_word_that_is_no_number_of_cards_is_refused(tmp_path):
    """A misspelt auto would silently expect nothing."""
    with pytest.raises(DocumentError, match=r"gpuwarden.yml:2: exporter.expect_gpus: must be auto or a whole number"):
        load(tmp_path, MISTAKES)


def test_each_mistake_in_a_group_names_its_line(tmp_path):
    """A user with ten groups would look for the wrong one by hand."""
    with pytest.raises(DocumentError) as raised:
        load(tmp_path, MISTAKES.replace("many", "auto"))
    text = str(raised.value)

    for line, words in (
        (3, "exporter.process_limit: must be from 1 to 1024"),
        (6, "workloads[0].process: is not a regular expression"),
        (7, "workloads[1].process: is missing: the group needs process, container or user"),
        (10, "workloads[2].budget: must be above 0 and at most 1 (write 0.8)"),
        (4, "workloads: name cnn more than once"),
    ):
        assert any(f":{line}: " in row and words in row for row in text.splitlines()), (line, words, text)


def test_what_kubernetes_puts_beside_a_service_of_our_name_is_no_mistake(tmp_path):
    """The exporter would not start behind a Service called gpuwarden-exporter."""
    given = {
        "GPUWARDEN_EXPORTER_SERVICE_HOST": "10.0.0.1",
        "GPUWARDEN_EXPORTER_SERVICE_PORT": "9400",
        "GPUWARDEN_EXPORTER_SERVICE_PORT_HTTP": "9400",
        "GPUWARDEN_EXPORTER_PORT": "tcp://10.0.0.1:9400",
        "GPUWARDEN_EXPORTER_PORT_9400_TCP_ADDR": "10.0.0.1",
    }
    assert load(tmp_path, "exporter: {}\n", given).listen == "127.0.0.1:9400"
    with pytest.raises(DocumentError, match="sets nothing"):
        load(tmp_path, "exporter: {}\n", {"GPUWARDEN_EXPORTER_PORT": "9500"})


@pytest.mark.parametrize("url", ["http://me:s3cr/et@host:9401", "me:s3cret@host:9401", "http://me:12/34@host:9401"])
def test_a_wrong_url_is_refused_without_its_password(tmp_path, url):
    """The terminal and the journal would hold the password of whoever mistyped."""
    with pytest.raises(DocumentError) as raised:
        load(tmp_path, f"exporter: {{alerts_from: '{url}'}}\n")
    assert "alerts_from: is not an http or https URL" in str(raised.value)
    assert not {"s3cr", "12/34"} & {word for word in ("s3cr", "12/34") if word in str(raised.value)}


PROBE_MISTAKES = """\
exporter:
  probe:
    enabled: yes please
    models: [gpt2-small, gpt3, gpt2-small]
    precision: fp16
    interval: 1s
    timeout: 0
    share: 1
    busy: 0
    quiet: 2h
    gpus: [0]
"""


def test_the_probe_is_off_unless_it_is_asked_for(tmp_path):
    """A box that nobody asked would run models of ours."""
    assert load(tmp_path, "exporter: {}").probe.enabled is False
    environ = {
        "GPUWARDEN_EXPORTER_PROBE_ENABLED": "true",
        "GPUWARDEN_EXPORTER_PROBE_MODELS": "gpt2-xl,resnet50",
        "GPUWARDEN_EXPORTER_PROBE_GPUS": "0,GPU-a",
        "GPUWARDEN_EXPORTER_PROBE_DEVICE": "cuda",
        "GPUWARDEN_EXPORTER_PROBE_PRECISION": "fp16",
        "GPUWARDEN_EXPORTER_PROBE_SHARE": "0.005",
        "GPUWARDEN_EXPORTER_PROBE_INTERVAL": "1h",
    }
    probe = load(tmp_path, "exporter: {}", environ).probe
    assert (probe.enabled, probe.models, probe.gpus) == (True, ("gpt2-xl", "resnet50"), ("0", "GPU-a"))
    assert (probe.share, probe.interval, probe.python) == (0.005, 3600, None)


def test_every_mistake_about_the_probe_is_told_with_what_to_write(tmp_path):
    """A user would find his mistakes one by one, or have a probe that never runs."""
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, PROBE_MISTAKES)
    assert [mistake.key for mistake in caught.value.mistakes] == ["exporter.probe.enabled", "exporter.probe.gpus[0]"]
    of_types = PROBE_MISTAKES.replace("yes please", "true").replace("[0]", '["0"]')
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, of_types)
    told = {mistake.key.removeprefix("exporter.probe."): mistake for mistake in caught.value.mistakes}
    assert set(told) == {
        *("models[1]", "models[2]", "precision", "interval", "timeout", "share", "busy", "quiet"),
    }
    assert "resnet18" in told["models[1]"].hint
    assert told["precision"].hint == "set device to cuda with it"
    assert told["interval"].message == "must be from 10s to 1d"
    assert told["share"].hint == "write 0.01"
