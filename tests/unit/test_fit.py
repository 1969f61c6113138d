import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from docs.measured_memory import comparison, estimated
from exporter.bench.fit.assessment import assess, known_runs
from exporter.bench.fit.cards import GIB, CardMemory, card_of_size, parse_size
from exporter.bench.fit.outline import INT4, INT8, Outline, answering_outline
from exporter.bench.fit.verdict import Judged, judge, largest
from exporter.model_memory.answering import (
    FP16,
    FP32,
    HIGHEST_RATIO,
    LOWEST_RATIO,
    MIB,
    answering_gpt,
)
from exporter.model_memory.shapes import GPTS
from exporter.model_memory.training import ADAMW, FORWARD, SGD, STEP, training_gpt
from gpuwarden.cli import main

DOCS = Path(__file__).parents[2] / "docs"
LLAMA = ["--parameters", "7e9", "--layers", "32", "--width", "4096", "--heads", "32", "--positions", "8192"]
SEVEN = Outline(6_738_415_616, 32, 4096, 32)
EIGHT = Outline(8_030_261_248, 32, 4096, 32, 8)


def told(*arguments, columns=200):
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["bench", "--fit", *arguments])


@pytest.fixture
def document(tmp_path):
    """What ``--json`` writes."""

    def read(*arguments):
        result = told("--json", str(tmp_path / "fit.json"), *arguments)
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / "fit.json").read_text())

    return read


EACH = pytest.mark.parametrize("each", estimated(), ids=lambda each: f"{each.run.name} {each.reserved_mib:.0f}")


@EACH
def test_no_estimate_is_far_from_what_was_measured(each):
    """A user would be told that a training fits, and lose a night to running out of memory."""
    assert 0.9 < LOWEST_RATIO <= each.of_reserved
    assert round(each.of_reserved, 2) <= HIGHEST_RATIO
    # With the context that was seen there, it is the driver's count that a card must have free.
    assert each.estimate_mib + each.context_mib > 0.92 * each.process_mib


@EACH
def test_no_estimate_is_below_what_the_tensors_took(each):
    """No frugal allocator could make room for what is really there."""
    assert each.estimate_mib >= each.allocated_mib


def test_every_kind_of_model_has_been_measured():
    """A table that lost its rows would look as good as one that was checked."""
    assert len(estimated()) >= 40
    assert {each.run.spec["model"].rstrip("0123458") for each in estimated()} >= {
        *("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl", "resnet", "efficientnet-b", "yolov5s", "unet3d")
    }


def test_the_contexts_seen_are_those_assumed():
    """A context that was assumed too small would take the last memory."""
    large = CardMemory("a large card", 80 * GIB, 0, reserved_assumed=True).context_bytes
    assert all(500 * MIB < each.context_mib * MIB <= large for each in estimated())
    assert 300 * MIB <= card_of_size(8 * GIB).context_bytes <= 500 * MIB


def test_the_page_about_fitting_has_the_comparison():
    """A user could not see how far the estimates can be trusted."""
    assert comparison() in (DOCS / "fit.md").read_text()


def test_the_readmes_example_is_what_it_says():
    """A user would try the example and find other figures."""
    readme = (DOCS.parent / "README.md").read_text()
    arguments = re.search(r"^gpuwarden bench --fit (--memory .*)$", readme, re.MULTILINE)[1].split()
    shown = re.search(r"```text\n(a card: .*?)```", readme, re.DOTALL)[1]

    assert told(*arguments, columns=120).stdout.startswith(shown)


@pytest.mark.parametrize(
    ("name", "weights_mib", "cache_mib"),
    [
        ("gpt2-small", 237, 36),
        ("gpt2-medium", 677, 96),
        ("gpt2-large", 1476, 180),
        ("gpt2-xl", 2971, 300),
    ],
)
def test_weights_and_cache_of_the_gpts(name, weights_mib, cache_mib):
    """The two parts that can be known exactly would be wrong."""
    parts = answering_gpt(GPTS[name], FP16, 1, 1024)

    assert round(parts.weights / MIB) == weights_mib
    assert parts.kv_cache == cache_mib * MIB


def test_an_outline_stands_for_the_published_model():
    """The answer for a 7B or 8B model would be for a model of another size."""
    assert SEVEN.inner_width == pytest.approx(11_008, rel=0.1)
    assert EIGHT.inner_width == pytest.approx(14_336, rel=0.2)
    assert answering_outline(SEVEN, FP16, 1, 4096).kv_cache == 2 * GIB
    assert answering_outline(EIGHT, FP16, 1, 8192).kv_cache == GIB
    assert answering_outline(EIGHT, INT8, 1, 1).weights == pytest.approx(8.54e9, rel=0.01)
    assert answering_outline(EIGHT, INT4, 1, 1).weights == pytest.approx(4.92e9, rel=0.01)


def test_many_experts_do_not_blow_up_the_activations():
    """A mixture of experts would be told not to fit for activations that it never has."""
    assert Outline(46_702_792_704, 32, 4096, 32, 8).inner_width == 8 * 4096


def test_a_prompt_in_pieces_takes_less():
    """A server that reads a prompt in pieces would be told to need memory for all of it."""
    whole = answering_outline(SEVEN, FP16, 1, 8192)
    pieces = answering_outline(SEVEN, FP16, 1, 8192, chunk=512)

    assert pieces.activations < whole.activations / 8
    assert pieces.kv_cache == whole.kv_cache
    assert answering_outline(SEVEN, FP16, 1, 100, chunk=512) == answering_outline(SEVEN, FP16, 1, 100)


def test_a_training_needs_most_before_or_after_its_way_back():
    """Long texts would be judged by the optimizer's step, or short ones without it."""
    short, moment_of_short = training_gpt(GPTS["gpt2-xl"], FP32, 1, 8)
    long, moment_of_long = training_gpt(GPTS["gpt2-small"], FP32, 16, 1024)

    assert (moment_of_short, moment_of_long) == (STEP, FORWARD)
    assert short.gradients == short.weights
    assert long.gradients == 0


def test_what_an_optimizer_remembers():
    """AdamW would be told to be as light as SGD."""
    shape = GPTS["gpt2-small"]
    adamw, _ = training_gpt(shape, FP32, 1, 8, optimizer=ADAMW)
    sgd, _ = training_gpt(shape, FP32, 1, 8, optimizer=SGD)

    assert adamw.optimizer == 2 * adamw.weights
    assert sgd.optimizer == sgd.weights


@pytest.mark.parametrize(
    ("need", "free", "verdict"),
    [
        (1000 * MIB, 1000 * MIB, "tight"),
        (1001 * MIB, 1000 * MIB, "does not fit"),
        (1488 * MIB, 2000 * MIB, "fits"),
        (1489 * MIB, 2000 * MIB, "tight"),
        (9000 * MIB, 10_000 * MIB, "fits"),
        (9001 * MIB, 10_000 * MIB, "tight"),
        (MIB, 0, "does not fit"),
    ],
)
def test_the_edges_of_the_verdicts(need, free, verdict):
    """What leaves nothing for a desktop would be told to fit."""
    assert judge(need, free) == Judged(verdict, free - need)


def test_the_largest_that_fits():
    """A user would try batch by batch what can be told at once."""
    found = largest(lambda count: count * 1000 * MIB, 10_000 * MIB)

    assert (found.fits, found.tight) == (9, 10)
    assert largest(lambda _count: 0, 10_000 * MIB, most=77).fits == 77
    assert largest(lambda count: count * GIB, 0).tight == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GiB", 6 * GIB),
        ("6GB", 6 * GIB),
        ("6 gb", 6 * GIB),
        ("500MiB", 500 * MIB),
        ("7.5GB", 7.5 * GIB),
        ("1TB", 1024 * GIB),
    ],
)
def test_sizes_as_people_write_them(text, size):
    """A card of 6 GB has 6 GiB of chips, and would be taken for a smaller one."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "6", "GB", "-6GB", "0GB", "6e9GB", "nan GB", "9999999TB", "6GBs", "6 G B"])
def test_what_is_no_size(text):
    """A typing error would be judged as some other card."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(("gib", "reserved"), [(6, 234), (12, 236), (24, 315), (40, 557), (80, 551)])
def test_what_the_driver_keeps_is_known(gib, reserved):
    """6 GB on a box would be 6 GiB for programs, and the last 234 MiB would be missing."""
    card = card_of_size(gib * GIB)

    assert reserved <= card.reserved_bytes / MIB <= reserved + 100
    assert card.empty_bytes == card.total_bytes - card.reserved_bytes
    assert card.free_bytes is None


def test_free_now_and_when_empty_are_told_apart():
    """A card that somebody else uses would be told to be free, or a free one to be full for ever."""
    card = CardMemory("x", 6 * GIB, 256 * MIB, reserved_assumed=False, free_bytes=GIB, index="0", uuid="u")
    found = {
        each.run.precision: each
        for each in (assess(run, card, 500 * MIB) for run in known_runs() if run.model == "gpt2-xl")
    }

    assert found["fp16"].now.judged.verdict == "does not fit"
    assert found["fp16"].if_empty.judged.verdict == "fits"
    assert found["fp16"].now.batch.tight == 0


def test_the_sum_is_the_sum_of_what_is_told(document):
    """A user who adds the parts up would find another figure than the one that was judged."""
    card = document("--memory", "6GB")["cards"][0]

    for run in card["runs"]:
        assert run["needs_bytes"] == sum(run["parts_bytes"].values())
        assert run["if_empty"]["left_bytes"] == card["free_if_empty_bytes"] - run["needs_bytes"]
        assert run["now"] is None


def test_all_known_models_are_told_of(document):
    """A user would have to look for the flags before he sees anything."""
    runs = document("--memory", "6GB")["cards"][0]["runs"]
    asked = {
        (run["model"].rstrip("0123458"), run["what"], run["precision"], run["batch"], run["positions"]) for run in runs
    }

    assert {run["model"] for run in runs} == {
        *("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl", "resnet18", "resnet34", "resnet50"),
        *("dialogpt-small", "dialogpt-medium", "biogpt", "efficientnet-b0", "yolov5s", "unet3d"),
    }
    assert {("resnet", "train", kind, batch, 0) for kind in ("fp32", "amp") for batch in (8, 32)} < asked
    assert {("gpt2-small", "answer", kind, 1, 1024) for kind in ("fp32", "fp16")} < asked
    assert {("gpt2-xl", "train", kind, 4, 512) for kind in ("fp32", "amp")} < asked


def test_a_small_card_is_told_the_truth(document):
    """GPT-2 XL in fp32 would be promised to a 6 GB card, or in fp16 denied to it."""
    verdicts = {
        (run["precision"], run["what"]): run["if_empty"]["verdict"]
        for run in document("--memory", "6GB", "--only", "gpt2-xl")["cards"][0]["runs"]
    }

    assert verdicts == {
        ("fp32", "answer"): "does not fit",
        ("fp16", "answer"): "fits",
        ("fp32", "train"): "does not fit",
        ("amp", "train"): "does not fit",
    }


def test_a_model_of_ones_own(document):
    """The question of whoever has a box in an office would have no answer."""
    small = document("--memory", "8GB", *LLAMA, "--kv-heads", "8", "--prompt-chunk", "512")["cards"][0]["runs"]
    large = document("--memory", "24GB", *LLAMA)["cards"][0]["runs"]

    assert [run["precision"] for run in small] == ["fp16", "int8", "int4"]
    assert [run["if_empty"]["verdict"] for run in small] == ["does not fit", "does not fit", "fits"]
    assert [run["if_empty"]["verdict"] for run in large] == ["fits", "fits", "fits"]
    assert small[2]["if_empty"]["largest_positions"]["fits"] >= 8192


@pytest.mark.parametrize("count", ["7B", "7b", "7000M", "7,000,000,000", "7_000_000_000", "7000000000"])
def test_parameters_as_people_write_them(document, count):
    """A user would have to write nine zeros."""
    asked = document("--memory", "8GB", *LLAMA, "--parameters", count)

    assert asked == document("--memory", "8GB", *LLAMA)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--memory", "6"], "write 6GiB"),
        (["--memory", "8GB", "--parameters", "7e9"], "--layers, --width, --heads, --positions"),
        (["--memory", "8GB", *LLAMA, "--parameters", "x"], "write 7e9"),
        (["--memory", "8GB", *LLAMA, "--parameters", "nan"], "write 7e9"),
        (["--memory", "8GB", *LLAMA, "--parameters", "1e40"], "write 7e9"),
        (["--memory", "8GB", *LLAMA, "--parameters", "1e6"], "attention alone has 2,147,483,648"),
        (["--memory", "8GB", *LLAMA, "--heads", "33"], "no multiple of --heads 33"),
        (["--memory", "8GB", *LLAMA, "--kv-heads", "7"], "no multiple of --kv-heads 7"),
        (["--memory", "8GB", *LLAMA, "--layers", "0"], "--layers"),
        (["--memory", "8GB", "--kv-heads", "8"], "--parameters"),
        (["--memory", "8GB", "--only", "gpt5"], "no model has gpt5 in its name; there are: gpt2-small"),
        (["--memory", "8GB", "--batch", "4"], "--batch goes with a model of your own"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments, word):
    """A user would be answered a question that he did not ask."""
    result = told(*arguments)

    assert result.exit_code == 2
    assert word in result.stderr


def test_the_tables_say_what_was_assumed():
    """A user would take an assumption for a reading."""
    text = told("--memory", "8GB").stdout

    assert "8.0 GiB, of which the driver keeps 256.0 MiB (assumed)" in text
    assert "CUDA context: 500.0 MiB, assumed for such a card" in text
    assert "free now" not in text
    assert "CUDA context: 300.0 MiB, as you say" in told("--memory", "8GB", "--cuda-context", "300MiB").stdout


def test_sentences_fit_a_narrow_terminal():
    """On a terminal of 80 columns the sentences would be cut anywhere."""
    lines = told("--memory", "8GB", "--only", "resnet18", columns=80).stdout.splitlines()

    assert max(len(line) for line in lines if not line.startswith(("resnet18", "model"))) <= 80


def test_markdown_is_a_table(tmp_path):
    """It could not be pasted into a page."""
    page = tmp_path / "fit.md"
    told("--memory", "8GB", "--markdown", str(page), "--only", "resnet50")
    rows = re.findall(r"^\|.*\|$", page.read_text(), re.MULTILINE)

    assert rows[0].startswith("| model")
    assert len({row.count("|") for row in rows[:8]}) == 1


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """A user would look for a file that is not there."""
    result = told("--memory", "8GB", "--json", str(tmp_path / "nowhere" / "fit.json"))

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_alike_cards_are_told_of_once():
    """Of eight equal cards there would be eight pages."""
    from exporter.bench.fit.report import Answer, text

    cards = [CardMemory("x", 8 * GIB, 256 * MIB, False, 4 * GIB, index, index) for index in "012"]
    cards[2] = dataclasses.replace(cards[2], free_bytes=GIB)
    answers = [
        Answer(card, card.context_bytes, True, [assess(run, card, card.context_bytes) for run in RUNS])
        for card in cards
    ]
    said = text(answers, ["GPU 3: lost"], markdown=False)

    assert said.count("largest batch") == 2
    assert "GPU 0 x" in said
    assert "GPU 1 x" in said
    assert "Not told of: GPU 3: lost" in said


RUNS = [run for run in known_runs() if run.model == "resnet18"]
