"""The torch workload as a child process, started by path: what it tells its parent, and how it ends."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from exporter.latency.child_words import said
from exporter.latency.torch_child import WORKLOAD
from tests.polling import wait_until
from tests.torch.child import run

pytestmark = pytest.mark.torch

SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "steps": 2, "threads": 1}
GPT = {"run": "generate", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 40, **SHORT}
INFERENCE = {"run": "infer", "model": "resnet18", "stem": "cifar", "batch": 2, **SHORT}
TRAINING = {"run": "train", "model": "resnet18", "stem": "cifar", "batch": 2, **SHORT}
HELD = {**GPT, "hold_seconds": 60.0}


def test_a_gpt_writes_an_answer():
    """The first token and the others would have no figure."""
    found = run(GPT)
    figures = found["figures"]

    assert (found["outcome"], found["detail"]) == ("ok", "")
    assert found["phases"] == ["import", "device", "build", "first token", "further tokens"]
    assert found["started"]["device"] == "cpu"
    assert figures["answer_complete"] is True
    assert figures["tokens"] == 40
    assert figures["kv_cache_bytes"] == 2 * 2 * 64 * 48 * 4
    assert 0 < figures["per_token_seconds"] < figures["answer_seconds"]
    assert figures["first_token_p50_seconds"] > 0


def test_attention_in_chunks_needs_less_memory():
    """A user with a long prompt would be told to switch on what saves nothing."""
    long = {**GPT, "prompt": 992, "new_tokens": 2, "batch": 2, "iterations": 1, "warmup_iterations": 0}
    plain, chunked = (
        run({**long, "attention": kind})["figures"]["process_resident_peak_bytes"] for kind in ("plain", "chunked")
    )
    of_all_scores = 2 * 4 * 992 * 992 * 4

    assert plain - chunked > of_all_scores


def test_a_cnn_answers_batches():
    """The classification of a batch would have no figure."""
    figures = run(INFERENCE)["figures"]

    assert figures["parameters"] == 11_173_962
    assert figures["images_per_second"] > 0
    assert len(figures["classes"]) == 2


def test_a_cnn_is_trained_for_some_steps_of_an_epoch():
    """An epoch that nobody ran would be published as one that was."""
    figures = run(TRAINING)["figures"]

    assert figures["steps"] == 2
    assert figures["epoch_images"] == 50_000
    assert figures["epoch_extrapolated"] is True
    assert figures["epoch_seconds"] == pytest.approx(figures["step_seconds"] * 25_000)
    assert figures["data"] == "random"
    assert figures["gradients_bytes"] == figures["optimizer_bytes"] == 4 * 11_173_962


def test_gpt2_small_for_real():
    """A user would be told of a model of another size than the one that is named."""
    found = run({**GPT, "model": "gpt2-small", "prompt": 32, "new_tokens": 4})
    figures = found["figures"]

    assert figures["parameters"] == 124_439_808
    assert figures["weights_bytes"] == 4 * 124_439_808
    assert figures["kv_cache_bytes"] == 36 * 2 * 36_864
    assert figures["process_resident_peak_bytes"] > figures["weights_bytes"]


def test_the_memory_can_be_read_at_the_barrier():
    """The memory as the system sees it would be read when the tensors are gone, or never."""
    found = run(INFERENCE, lambda pid: {"resident": psutil.Process(pid).memory_info().rss})

    assert found["outcome"] == "ok"
    assert found["barrier"]["resident"] > found["figures"]["weights_bytes"]


@pytest.mark.parametrize("spec", [GPT, INFERENCE, TRAINING], ids=["generate", "infer", "train"])
def test_a_warm_run_waits_for_the_word_before_it_measures(spec):
    """Two runs beside each other would be measured while one of them still loads."""
    told = []
    found = run(
        {**spec, "ready_seconds": 60.0, "run_seconds": 0.2}, lambda pid: told.append(pid) or {"looks": len(told)}
    )

    assert found["outcome"] == "ok"
    assert found["barrier"] == {"looks": 2}
    assert found["seconds"] < 60.0


def test_out_of_memory_is_a_result():
    """A model that does not fit would look like a broken probe."""
    found = run({**INFERENCE, "batch": 10**12})

    assert (found["outcome"], found["reason"]) == ("oom", "out_of_memory")
    assert found["figures"]["process_resident_peak_bytes"] > found["figures"]["weights_bytes"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({**GPT, "device": "cuda:99"}, "no_cuda"),
        ({**GPT, "model": "gpt3"}, "bad_spec"),
        ({**TRAINING, "data": "/nowhere"}, "no_data"),
    ],
    ids=["no such card", "no such model", "no such folder"],
)
def test_what_cannot_be_done_is_refused_by_name(spec, reason):
    """The reason of a missing figure would be somewhere in a traceback."""
    found = run(spec)

    assert (found["outcome"], found["reason"]) == ("refused", reason)
    assert found["detail"]


def test_the_spec_may_be_the_argument():
    """A person could not try a run without a program that writes to its input."""
    done = subprocess.run(
        [sys.executable, str(WORKLOAD), json.dumps(GPT)], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )

    assert said(done.stdout.splitlines()[-1])["outcome"] == "ok"
    assert all(said(line) for line in done.stdout.splitlines() if line)


def test_a_killed_child_is_a_crash():
    """A child that the kernel's memory killer took would be waited for, or counted as done."""
    found = run(HELD, lambda pid: os.kill(pid, signal.SIGKILL) or {"killed": True})

    assert found["barrier"] == {"killed": True}
    assert (found["outcome"], found["reason"]) == ("error", "crashed")
    assert found["detail"].startswith("killed by somebody else, perhaps by the kernel for want of main memory")


def test_a_child_of_another_parent_does_not_begin():
    """A child whose parent died while it started would hold the card for nobody."""
    done = subprocess.run(
        [sys.executable, str(WORKLOAD), json.dumps({**GPT, "parent": 1})], capture_output=True, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (1, b"")


BETWEEN = """\
import subprocess, sys
with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
    for line in child.stdout:
        print(line.decode(), end="", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_no_child_outlives_its_parent():
    """Each exporter that is killed during a probe would leave a process that holds the card's memory."""
    command = [sys.executable, "-c", BETWEEN, sys.executable, str(WORKLOAD), json.dumps(HELD)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as between:
        barrier = next(line for line in map(said, between.stdout) if line and line["event"] == "barrier")
        child = psutil.Process(barrier["pid"])
        between.kill()

    wait_until(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 20, "the child outlived its parent"
    )
