"""``gpuwarden bench`` as a process: what it starts, what it writes and how it ends, with a workload that is none."""

import json
import signal
import textwrap

import psutil
import pytest

from tests.e2e.running import Running, run
from tests.fakes.interpreter import interpreter, without_torch
from tests.polling import wait_until

FIGURES = """\
figures = {
    "images_per_second": 5000.0, "epoch_seconds": 10.0, "epoch_extrapolated": True, "steps": 30, "step_seconds": 0.02,
    "first_token_p50_seconds": 0.3, "first_token_p90_seconds": 0.4, "first_token_cold_seconds": 1.0,
    "per_token_seconds": 0.02, "weights_bytes": 100 * 2**20, "kv_cache_bytes": 150 * 2**20,
}
"""
ENDS_WELL = FIGURES + (
    'tell("started", torch="2.11.0", cuda="13.0", python="3.12.3", device=spec["device"])\n'
    'tell("progress", phase="training")\n'
    'tell("result", outcome="ok", figures=figures, spec=spec)\n'
)
HANGS_AT_TEXT = 'if spec["run"] == "generate":\n    tell("progress", phase="first token")\n    hang()\n' + ENDS_WELL
TWO = ("--only", "resnet18-epoch-imagenet", "--only", "kv-cache-batch")
"""A run that trains and one that writes text."""


@pytest.fixture
def bench(tmp_path):
    """Runs the command to its end with a workload that does ``text``."""

    def call(text, *arguments, environ=None):
        python = interpreter(tmp_path, text)
        environ = {"COLUMNS": "100", **(environ or {})}
        found = run("bench", "--python", python, "--json", "a.json", *arguments, home=tmp_path, environ=environ)
        return found.returncode, found.stdout, found.stderr

    return call


@pytest.fixture
def written(tmp_path):
    """Reads the document that the command has written."""
    return lambda: json.loads((tmp_path / "a.json").read_text())


def verdicts(document):
    return [f"{claim['verdict']}: {claim['reason']}".strip(": ") for claim in document["claims"]]


@pytest.fixture
def no_driver():
    """No library of a driver can be loaded, whatever this machine has."""
    return {"LD_LIBRARY_PATH": "/nowhere"}


def test_the_table_goes_to_standard_output_and_progress_to_standard_error(bench):
    """A user could not put the table into a file."""
    status, table, told = bench(ENDS_WELL, "--device", "cpu", *TWO)

    assert status == 0, told
    assert "10 s" in table
    assert "60.0 %" in table
    assert "torch 2.11.0, cuda 13.0, python 3.12.3" in table
    assert "\x1b" not in table + told
    assert [line.partition(":")[2].split(",")[0].strip() for line in told.splitlines()] == ["ok", "ok"]


def test_the_files_hold_what_the_table_says(bench, written, tmp_path):
    """A user would have nothing to compare with tomorrow."""
    status, table, told = bench(ENDS_WELL, "--device", "cpu", "--markdown", "a.md", *TWO)
    document = written()

    assert (status, document["gpuwarden_bench"]) == (0, 1), told
    assert [run["outcome"] for run in document["runs"]] == ["ok", "ok"]
    assert [claim["value"] for claim in document["claims"]] == [10.0, 0.6]
    assert "| **met** |" in (tmp_path / "a.md").read_text()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644

    again = run("bench", "--show", "a.json", home=tmp_path, environ={"COLUMNS": "100"})
    assert (again.returncode, again.stdout) == (0, table)


def test_ctrl_c_ends_the_run_and_keeps_what_is_there(tmp_path, written):
    """Half an hour of results would be lost, and the card held by a process of nobody."""
    python = interpreter(tmp_path, HANGS_AT_TEXT)
    arguments = ("--device", "cpu", "--python", python, "--json", "a.json", "--markdown", "a.md", *TWO)
    with Running("bench", *arguments, home=tmp_path) as running:
        running.wait_for(r"\[1/2\] .*: ok")
        children = psutil.Process(running.process.pid).children
        wait_until(children, 10, "the second run has not begun")
        child = children()[0]
        wait_until(lambda: [run["outcome"] for run in written()["runs"]] == ["ok", "not run"], 10, "nothing is saved")

        running.process.send_signal(signal.SIGINT)
        running.process.wait(10)
        running.wait_for("stopped: stopped by Ctrl-C")
    document = written()

    assert running.process.returncode == 130
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert [(run["outcome"], run["reason"]) for run in document["runs"]] == [("ok", ""), ("stopped", "stopped")]
    assert "stopped" in (tmp_path / "a.md").read_text()
    assert "10 s" in running.output


def test_ctrl_c_in_a_module_of_ones_own_is_written_down(tmp_path, written):
    """The file would say that a run which somebody ended had never begun."""
    python = interpreter(tmp_path, 'tell("progress", phase="inputs")\nhang()')
    arguments = ("--module", "net.py", "--device", "cpu", "--python", python, "--json", "a.json")
    with Running("bench", *arguments, home=tmp_path) as running:
        wait_until(psutil.Process(running.process.pid).children, 10, "the run has not begun")
        running.process.send_signal(signal.SIGINT)
        running.process.wait(10)

    assert running.process.returncode == 130
    assert [(run["outcome"], run["reason"]) for run in written()["runs"]] == [("stopped", "stopped")]


def test_a_python_without_torch_is_told_how_to_get_it(tmp_path, written):
    """A user would read nothing but an exit status, or the same complaint for each run."""
    python = without_torch(tmp_path)
    found = run("bench", "--device", "cpu", "--python", python, "--json", "a.json", *TWO, home=tmp_path)
    first, second = written()["runs"]

    assert found.returncode == 1
    assert "pip install 'gpuwarden[probe]'" in found.stderr
    assert "--python INTERPRETER" in found.stderr
    assert first["detail"] == second["detail"] == "No module named 'torch'"
    assert first["seconds"] > second["seconds"] == 0, "the second run was tried, too"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('sys.stderr.write("libcuda is unhappy")\nos.kill(os.getpid(), signal.SIGSEGV)\n', "crashed"),
        ("", "no_result"),
        ('tell("result", outcome="oom", reason="out_of_memory", figures={"phase": "build"})\n', "out_of_memory"),
        ('tell("result", outcome="refused", reason="no_onnxruntime", figures={})\n', "no_onnxruntime"),
        ('tell("result", outcome="ok", figures={"steps": "many"})\n', "no_figure"),
        ('tell("result", outcome="ok", figures={"images_per_second": 0})\n', "no_figure"),
    ],
    ids=[
        "crash",
        "silence",
        "out of memory",
        "a library that nobody has to have",
        "strange figures",
        "nothing a second",
    ],
)
def test_a_run_that_ends_badly_costs_its_own_claims_only(bench, written, text, reason):
    """One crash would take the whole table with it."""
    badly = textwrap.indent(f"{text}sys.exit(0)\n", "    ")
    status, _, _ = bench(f'if spec["run"] == "train":\n{badly}{ENDS_WELL}', "--device", "cpu", *TWO)

    assert verdicts(written()) == [f"not measured: {reason}", "met"]
    assert status == (0 if reason in {"out_of_memory", "no_figure", "no_onnxruntime"} else 1)


def test_when_the_time_is_up_the_rest_is_not_measured(bench, written):
    """A user who has five minutes would wait for half an hour."""
    status, _, told = bench(ENDS_WELL, "--device", "cpu", "--minutes", "0.01", *TWO)

    assert status == 1
    assert told.count("(no_time)") == 2
    assert verdicts(written()) == ["not measured: no_time"] * 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--only", "abacus"), "no claim and no run has abacus in its name; see: gpuwarden bench --list"),
        (("--data", "nowhere"), "Directory 'nowhere' does not exist"),
        (("--data", "."), "has no data_batch_1 or data_batch_1.bin of CIFAR-10"),
        (("--minutes", "0"), "0.0 is not in the range x>0"),
        (("--device", "tpu"), "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (("--device", "cpu", "--gpu", "0"), "--gpu names a card, and nothing is run on one"),
        (("--gpu", "0"), "there is no GPU 0: no NVIDIA driver found"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_input_is_refused_before_anything_is_run(bench, no_driver, arguments, complaint):
    """A user would wait for a bench that measures something else."""
    status, table, told = bench("hang()", *arguments, environ=no_driver)

    assert (status, table) == (2, "")
    assert complaint in " ".join(told.split())


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_that_cannot_be_written_is_told_at_once(bench, option):
    """A user would lose half an hour of results at their end."""
    status, table, told = bench("hang()", "--device", "cpu", option, "nowhere/a", *TWO)

    assert (status, table) == (1, "")
    assert "nowhere/a cannot be written: No such file or directory" in told


def test_a_disk_that_fills_up_costs_the_file_and_no_run(bench, tmp_path):
    """A user would lose half an hour of results because the last of them could not be written down."""
    (tmp_path / "sub").mkdir()
    gone = "import shutil\nshutil.rmtree('sub', ignore_errors=True)\n"
    status, table, told = bench(gone + ENDS_WELL, "--device", "cpu", "--markdown", "sub/a.md", *TWO)

    assert status == 1
    assert told.count("sub/a.md cannot be written: No such file or directory; the runs go on") == 1
    assert told.count(": ok, ") == 2
    assert "2 claims:" in table


def test_a_run_is_not_begun_without_the_time_that_its_kind_takes(bench, written):
    """A user's last seconds would go to a run that is ended before it has a figure, and be called too slow."""
    arguments = ("--device", "cpu", "--minutes", "0.25", "--only", "onnxruntime-cpu", "--only", "kv-cache-batch")
    bench(ENDS_WELL, *arguments)
    reasons = {run["kind"]: run["reason"] for run in written()["runs"]}

    assert reasons == {"generate": "", "onnx": "no_time"}


def test_an_earlier_run_is_shown_and_its_page_written(bench, tmp_path):
    """A user who kept the figures only would have to measure again for a page."""
    bench(ENDS_WELL, "--device", "cpu", *TWO)
    found = run("bench", "--show", "a.json", "--markdown", "b.md", home=tmp_path)

    assert "2 claims:" in found.stdout
    assert "**train**" in (tmp_path / "b.md").read_text()
    assert run("bench", "--show", "nowhere.json", home=tmp_path).returncode == 2


def test_without_a_card_what_needs_one_is_left_out(bench, no_driver):
    """A user without a card would be kept waiting for what says nothing there."""
    status, table, told = bench(ENDS_WELL, "--only", "resnet18", "--only", "batch-8", environ=no_driver)

    assert status == 0, told
    assert table.count("no_card") > 1
    assert "no_card: makes sense on a card only" in table
    assert told.count(": ok") == 3


def test_a_card_that_is_wanted_must_be_there(bench, no_driver):
    """A user would take figures of the processor for those of his card."""
    status, table, told = bench(ENDS_WELL, "--device", "cuda", environ=no_driver)

    assert (status, table) == (1, "")
    assert "no card is found here" in told


def test_the_list_needs_neither_torch_nor_card(tmp_path, no_driver):
    """A user could not see what would be run before installing two gigabytes."""
    found = run("bench", "--list", "--python", "/nowhere", home=tmp_path, environ=no_driver)

    assert (found.returncode, found.stderr) == (0, "")
    assert "left out, no_card" in found.stdout
