"""The tables: they fit the terminal, name what was not measured, and hold what came from outside as one cell."""

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.bench.cli import bench
from exporter.bench.guide.claims import CLAIMS
from exporter.bench.telling import markdown, report
from exporter.bench.telling.document import OutputError, write
from exporter.bench.telling.recorded import RecordingError, judged_anew, read

RECORDED = Path(__file__).parents[1] / "golden" / "bench" / "h200.json"


@pytest.fixture
def document():
    """What a run on an H200 wrote, judged anew."""
    return judged_anew(json.loads(RECORDED.read_text()), CLAIMS)


def visible(text):
    return re.sub(r"\x1b\[\d*m", "", text)


@pytest.mark.parametrize("columns", [0, 80, 97, 120, 400])
def test_the_table_fits_the_terminal(document, columns):
    """Lines that wrap make a table unreadable."""
    width = max(80, min(columns, 120))

    assert max(map(len, report.table(document, columns).splitlines())) <= width


def test_colours_change_nothing_but_colours(document):
    """With colours the columns would not stand below each other."""
    painted = report.table(document, 80, lambda text, word: f"\x1b[3{len(word) % 7}m{text}\x1b[0m")

    assert painted != visible(painted)
    assert visible(painted) == report.table(document, 80)


def test_every_claim_and_its_verdict_is_in_both_tables(document):
    """A claim that fails could be overlooked."""
    text, page = report.table(document), markdown.markdown(document)
    for claim in document["claims"]:
        assert f"(`{claim['id']}`)" in page
        assert f"**{claim['verdict']}" in page
    for word in ("met", "not met", "other:", "not measured:"):
        assert re.search(rf"  {word}$", text, re.MULTILINE), word


def test_what_a_card_or_an_error_is_called_stays_in_its_place(document):
    """A process with a strange name would break the page that is pasted into a ticket."""
    run = document["runs"][0]
    run["contended"] = ["a|b"]
    run["outcome"], run["reason"], run["detail"] = "error", "RuntimeError", "a | b"
    page = markdown.markdown(document)

    assert "Others were at the card in 2 of" in page
    rows = [line for line in page.splitlines() if line.startswith(f"| {run['name']}")]
    assert rows
    for row in rows:
        assert "a|b" not in row


def test_each_number_of_conversations_is_a_line(document):
    """A user could not see at how many conversations his card slows down, nor what each costs of its memory."""
    rungs = [
        {
            "streams": 1,
            "per_token_seconds": 0.005,
            "first_token_p90_seconds": None,
            "torch_allocated_peak_bytes": 2**28,
        },
        {
            "streams": 5,
            "per_token_seconds": 0.02,
            "first_token_p90_seconds": 0.125,
            "torch_allocated_peak_bytes": 2**29,
        },
    ]
    document["runs"][0] |= {"kind": "serve", "name": "chat", "figures": {"rungs": rungs, "doubles_at_streams": 5}}
    document["runs"][1] |= {
        "kind": "serve",
        "name": "other",
        "outcome": "oom",
        "reason": "out_of_memory",
        "figures": {},
    }
    page = markdown.markdown(document)

    assert "| chat | 1 | - | - | 5.00 ms | 1.0 | - | - | - | 256 MiB | - |" in page
    assert "| chat | 5 | - | 125.00 ms | 20.00 ms | 4.0 | - | - | - | 512 MiB | - |" in page
    assert "| other | oom: out_of_memory |" in page


def test_a_run_that_failed_is_told_with_its_words(document):
    """A user would not know what to change."""
    for run in document["runs"][:5]:
        run["outcome"], run["reason"], run["detail"] = "refused", "no_torch", "No module named 'torch'"
    document["runs"][5] |= {"outcome": "error", "reason": "crashed", "detail": "ended by SIGSEGV"}
    text = report.table(document)

    assert "5 runs: no_torch: No module named 'torch'" in text
    assert f"{document['runs'][5]['name']}: crashed: ended by SIGSEGV" in " ".join(text.split())


def test_memory_that_did_not_come_back_is_named(document):
    """A run that leaves memory behind would be praised."""
    assert "memory was back where it had been before" in report.table(document)
    run = next(run for run in document["runs"] if run["card"])
    run["card"]["after"]["used_bytes"] = run["card"]["before"]["used_bytes"] + 2**30

    assert f"Memory of the card was not back after: {run['name']}." in " ".join(report.table(document).split())


def test_a_recording_is_judged_by_the_claims_of_today(document):
    """A verdict that was wrong would stay wrong in every file."""
    recorded = json.loads(RECORDED.read_text())
    for claim in recorded["claims"]:
        claim["verdict"] = "not met"

    assert judged_anew(recorded, CLAIMS) == document
    assert document["claims"][0]["verdict"] == "met"


def test_a_recording_written_again_is_the_same(document):
    """A file would lose something each time that it is read."""
    assert judged_anew(json.loads(json.dumps(document)), CLAIMS) == document


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read: No such file"),
        ("", "is not what gpuwarden bench --json writes"),
        ("[]", "is not what gpuwarden bench --json writes"),
        ('{"gpuwarden_bench": 99}', "is of another format, 99"),
        ('{"gpuwarden_bench": 1}', "is not what gpuwarden bench --json writes"),
        ("\xff", "is not what gpuwarden bench --json writes"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path, text, complaint):
    """A user who confuses two files would see a traceback."""
    path = tmp_path / "some.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordingError) as caught:
        read(path, CLAIMS)

    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda found: found["card"].update(memory_total_bytes="much"),
        lambda found: found["runs"][0].update(name=3),
        lambda found: found["runs"][0]["figures"].update(step_seconds="x"),
        lambda found: found["runs"][0]["card"]["after"].update(used_bytes="x"),
    ],
    ids=["memory", "name", "figure", "reading"],
)
def test_a_figure_that_is_none_is_told_by_the_files_name(document, tmp_path, spoilt):
    """A file that somebody changed by hand would end in a traceback of ours."""
    spoilt(document)
    path = tmp_path / "some.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(bench, ["--show", str(path)])

    assert isinstance(result.exception, RecordingError), result.output
    assert "some.json is not what gpuwarden bench --json writes" in str(result.exception)


def test_a_pipe_or_a_device_stays_what_it_is(tmp_path):
    """A container whose results should go to /dev/stdout would have no /dev/stdout from then on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="it is no ordinary file"):
        write(pipe, "{}")

    assert pipe.is_fifo()


def test_a_link_goes_on_to_point_to_the_results(tmp_path):
    """Whoever reads the file behind the link would read old results for ever."""
    file, link = tmp_path / "results.json", tmp_path / "last.json"
    file.write_text("old")
    link.symlink_to(file)
    write(link, "new")

    assert (link.is_symlink(), file.read_text()) == (True, "new")


def test_the_sum_says_of_how_many_claims(document):
    """A user would read numbers that add up to nothing that he knows."""
    assert f"{len(document['claims'])} claims: " in report.table(document)


def test_a_90th_percentile_is_called_one(document):
    """A user would take the slowest tenth for what a first token usually takes."""
    found = {claim["id"]: claim for claim in document["claims"]}["gpt2-first-token"]

    assert found["value"] == pytest.approx(0.00396, rel=0.01)
    assert found["detail"].startswith("p90; p50 2.45 ms, ")
