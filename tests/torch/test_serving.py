"""Conversations at once with one GPT: each is served whole and as if it were alone, and the figures are its own."""

import contextlib
import dataclasses
import threading

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

ASKED = {"run": "serve", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 12, "iterations": 6, "streams": 5}
BOTH = pytest.mark.parametrize("serving", ["threads", "batched"])


@pytest.fixture
def done(torch):
    """Does what a spec asks; the outcome and the figures."""
    from exporter.workload.lines import Lines
    from exporter.workload.runs import run
    from exporter.workload.spec import Spec

    return lambda **asked: run(Spec(**{**ASKED, **asked}), Lines(bytearray().extend, lambda _: None))


@BOTH
def test_each_number_of_conversations_has_its_figures(serving, done):
    """A user would not learn how many people his model can talk with."""
    found = done(serving=serving)
    rungs = found["figures"]["rungs"]

    assert found["outcome"] == "ok", found.get("detail")
    assert [(rung["streams"], rung["rounds"]) for rung in rungs] == [(1, 6), (2, 3), (4, 2), (5, 2)]
    for rung in rungs:
        assert 0 < rung["first_token_p50_seconds"] < rung["answer_p50_seconds"]
        assert 0 < rung["per_token_p50_seconds"] < rung["answer_p50_seconds"]
        assert rung["tokens_per_second"] > 0
        assert rung["process_resident_peak_bytes"] > 0


@BOTH
def test_a_spent_budget_leaves_each_number_one_round(serving, done):
    """A slow machine would be killed before it has told of five conversations."""
    rungs = done(serving=serving, budget_seconds=0.001)["figures"]["rungs"]

    assert [rung["rounds"] for rung in rungs] == [1, 1, 1, 1]


def test_what_no_longer_fits_does_not_cost_the_figures_before(done):
    """A user whose card holds sixteen conversations would be told nothing, for more did not fit."""
    found = done(serving="batched", streams=10**12)

    assert found["outcome"] == "ok"
    assert [rung["streams"] for rung in found["figures"]["rungs"]] == [1, 2, 4, 5, 8, 16]
    assert found["figures"]["out_of_memory_at_streams"] == 10**12


def test_a_model_that_cannot_serve_one_is_out_of_memory(done):
    """A user would be shown an empty table for a model that does not fit."""
    found = done(new_tokens=10**12)

    assert (found["outcome"], found["figures"]["phase"]) == ("oom", "streams")


def test_a_conversation_says_the_same_beside_others_as_alone(torch, on_cpu):
    """Threads that write into each other's caches would be timed as if they served anybody."""
    from exporter.workload.generation import Writer
    from exporter.workload.gpt2 import GPT2, SIZES
    from exporter.workload.serving import _InThreads
    from exporter.workload.spec import Spec
    from exporter.workload.weights import on_device

    heard, threads_of = {}, {}

    class Heard(Writer):
        def tokens(self, count):
            said = heard[self._spec.seed] = []
            threads_of.setdefault(self._spec.seed, set()).add(threading.get_ident())
            for tokens in super().tokens(count):
                said.append(tokens)
                yield tokens

    spec = Spec(**ASKED)
    model = on_device(lambda: GPT2(SIZES["gpt2-tiny"]), on_cpu).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.2 * parameter.new_empty(parameter.shape).normal_())
    with torch.inference_mode():
        alone = [list(Writer(model, dataclasses.replace(spec, seed=seed), on_cpu).tokens(12)) for seed in (1, 2, 3, 4)]
        with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as threads:
            patch.setattr("exporter.workload.serving.Writer", Heard)
            server = _InThreads(model, spec, on_cpu, threads)
            server.seat(2)(12)
            times = server.seat(4)(12)

    assert [heard[seed] for seed in (1, 2, 3, 4)] == alone
    assert [len(each) for each in times] == [12] * 4
    assert len(set.union(*threads_of.values())) == sum(len(each) for each in threads_of.values()) == 4


def test_first_tokens_and_those_between_are_told_apart(torch):
    """The wait for a prompt would be in the time per token, or a token that came late in none."""
    from exporter.workload.serving import summary

    found = summary([[[1.0, 1.5, 2.0], [2.0, 3.0, 4.0]], [[1.0, 1.5, 2.0], [1.0, 1.5, 2.0]]])

    assert found["first_token_p50_seconds"] == 1.0
    assert found["per_token_p50_seconds"] == 0.5
    assert found["per_token_seconds"] == (6 * 0.5 + 2 * 1.0) / 8
    assert found["answer_p50_seconds"] == 2.0
    assert found["tokens_per_second"] == 12 / 6.0
    assert found["first_token_p90_seconds"] is None


@pytest.mark.parametrize(
    ("seconds", "expected"), [((1.0, 1.5, 2.0, 4.0), 4), ((1.0, 1.1, 1.2), None), ((None, None), None)], ids=str
)
def test_the_number_at_which_a_token_takes_twice_as_long(torch, seconds, expected):
    """A user would plan for more conversations than his card keeps up with."""
    from exporter.workload.serving import LADDER, doubles_at

    rungs = [{"streams": n, "per_token_seconds": each} for n, each in zip(LADDER, seconds, strict=False)]

    assert doubles_at(rungs) == expected


@pytest.mark.parametrize(
    ("most", "expected"), [(16, (1, 2, 4, 5, 8, 16)), (5, (1, 2, 4, 5)), (3, (1, 2, 3)), (1, (1,))]
)
def test_the_last_number_is_the_one_asked_for(torch, most, expected):
    """A user who asks for 3 or for 24 would be shown other numbers."""
    from exporter.workload.serving import ladder

    assert ladder(most) == expected
