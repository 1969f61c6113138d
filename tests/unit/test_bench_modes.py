"""Which mode of ``gpuwarden bench`` was asked for, and what a run of a user's own module means to him."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.bench.module.plan import Asked, can_be_trained, meaning, planned, split
from exporter.bench.module.report import text
from exporter.latency.torch_child import Done
from gpuwarden.cli import main


def told(*arguments):
    return CliRunner().invoke(main, ["bench", *arguments])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--memory", "8GB"], "--memory belongs to another mode: name --fit or --module, too"),
        (["--precision", "fp16"], "--precision belongs to another mode"),
        (["--batch", "8"], "--batch belongs to another mode"),
        (["--fit", "--module", "net.py"], "ask for one of them"),
        (["--show", "a.json", "--fit"], "--fit and --show do different things: ask for one of them"),
        (["--show", "a.json", "--only", "gpt"], "--only does not go with --show"),
        (["--fit", "--precision", "fp16"], "--precision does not go with --fit"),
        (["--fit", "--full-epoch"], "--full-epoch does not go with --fit"),
        (["--fit", "--device", "cpu"], "--device does not go with --fit"),
        (["--module", "net.py", "--layers", "3"], "--layers does not go with --module"),
        (["--module", "net.py", "--only", "resnet"], "--only does not go with --module"),
        (["--module", "net.py", "--precision", "int8"], "'int8' is not one of"),
        (["--module", "net.py", "--device", "cpu", "--gpu", "0"], "nothing is run on one"),
    ],
)
def test_an_option_of_another_mode_is_refused(arguments, word):
    """A user would wait a quarter of an hour for the answer to a question that he did not ask."""
    result = told(*arguments)

    assert result.exit_code == 2
    assert word in result.stderr


def test_the_help_has_each_modes_options_together():
    """A user would have to guess which of thirty options belong together."""
    shown = told("--help").output
    parts = [shown.index(f"({mode})") for mode in ("--module", "--fit")]

    assert shown.index("--full-epoch") < parts[0] < shown.index("--precision") < parts[1] < shown.index("--memory")


@pytest.mark.parametrize(
    ("given", "file", "name"),
    [
        ("net.py", "net.py", "model"),
        ("net.py:Net", "net.py", "Net"),
        ("a:b/net.py", "a:b/net.py", "model"),
        ("net.py:", "net.py:", "model"),
        ("net.py:1", "net.py:1", "model"),
    ],
)
def test_a_file_and_what_makes_the_module(given, file, name):
    """A file would be looked for under the name of a class."""
    assert split(given) == (file, name)


def test_a_file_with_a_colon_in_its_name(tmp_path, monkeypatch):
    """A file that is there would not be found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net:a").write_text("")

    assert split("net:a") == ("net:a", "model")


def test_what_a_run_is_asked():
    """The child would measure something else than what the table says."""
    one = planned(Asked("net.py", "Net", ["amp"], 4, "sgd", quick=True), "amp", training=True, on_cpu=False)
    plain = planned(Asked("net.py", "model", ["fp32"], 1), "fp32", training=False, on_cpu=True)

    assert one.run.name == "net.py training 4, amp"
    assert one.spec["module"].endswith("/net.py")
    assert {key: one.spec[key] for key in ("run", "model", "module_name", "precision", "batch", "training")} == {
        "run": "module",
        "model": "own",
        "module_name": "Net",
        "precision": "amp",
        "batch": 4,
        "training": True,
    }
    assert (one.spec["optimizer"], one.spec["iterations"]) == ("sgd", 16)
    assert (plain.spec["device"], "iterations" in plain.spec) == ("cpu", False)


def test_what_is_trained():
    """Training would be tried where there is no loss, or in half precision where none is possible."""
    trainable = Done("ok", figures={"trainable": True})

    assert can_be_trained(trainable, "fp32")
    assert not can_be_trained(trainable, "fp16")
    assert not can_be_trained(Done("ok", figures={"trainable": False}), "fp32")
    assert not can_be_trained(Done("oom", "out_of_memory", figures={"trainable": True}), "fp32")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("raised", "your code raised: words"),
        ("deadline", "it took too long and was ended: words"),
        (
            "no_result",
            "the process ended without a result; does your code call os._exit?: words",
        ),
        ("no_function", "the file is refused: words"),
        ("no_cuda", "torch sees no usable card: words"),
        ("SomeError", "SomeError: words"),
    ],
)
def test_every_end_is_said_in_words(reason, said):
    """A user would read a word that nobody explains."""
    assert meaning(reason, "words") == said


def test_a_table_of_what_came_to_an_end_and_words_for_what_did_not():
    """One run that failed would hide the figures of the others."""
    spec = {"training": False, "precision": "fp32"}
    figures = {
        "parameters": 1234,
        "weights_bytes": 4936,
        "items_per_second": 10.0,
        "process_resident_peak_bytes": 2**28,
        "batch_cold_seconds": 0.5,
        "batch_p50_seconds": 0.1,
        "batch_p90_seconds": None,
    }
    rest = {"reason": "", "detail": "", "tiny": False, "contended": [], "card": {}}
    runs = [
        {**rest, "name": "one", "outcome": "ok", "figures": figures, "spec": spec},
        {
            **rest,
            "name": "two",
            "outcome": "timeout",
            "reason": "deadline",
            "detail": "in phase build",
            "figures": {},
            "spec": {**spec, "precision": "amp"},
        },
    ]
    found = {"card": {}, "host": {}, "runs": runs}
    shown = text(found)

    assert "1,234 parameters, 4.8 KiB in fp32" in shown
    assert "run  cold    p50     items/s  process" in shown
    assert "one  500 ms  100 ms  10.0     256.0 MiB" in shown
    assert "- two: it took too long and was ended: in phase build" in shown
    assert "| one | 500 ms | 100 ms | 10.0    | 256.0 MiB |" in text(found, markdown=True)


def test_the_page_explains_what_is_said_of_a_users_file():
    """A user would read words that stand nowhere."""
    page = (Path(__file__).parents[2] / "docs" / "own_module.md").read_text()
    reasons = ("raised", "exited", "no_result", "out_of_memory", "deadline", "no_function")

    for said in (meaning(reason, "") for reason in reasons):
        assert f"| {said.partition(';')[0]} |" in page
    for name in (
        "model()",
        "inputs(batch, device)",
        "answer(model, inputs)",
        "loss(model, inputs)",
        "optimizer(model)",
    ):
        assert f"| `{name}` |" in page
