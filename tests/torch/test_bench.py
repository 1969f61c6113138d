"""``gpuwarden bench`` with the real workload: every kind of run as a stand-in, then real models on the processor."""

import json
import signal

import psutil
import pytest

from tests.e2e.running import Running
from tests.polling import wait_until

pytestmark = pytest.mark.torch


def measured(home, *arguments):
    """The status, the document and what was told of a bench on the processor."""
    with Running("bench", *arguments, "--json", "a.json", home=home) as running:
        status = running.process.wait(280)
    return status, json.loads((home / "a.json").read_text()), running.output


@pytest.mark.timeout(300)
def test_every_kind_of_run_comes_to_the_table(tmp_path):
    """A kind of run could fail on every machine, and nobody would know before he has a card."""
    kinds = ("imagenet-stem", "int8-speed", "checkpointing-time")
    status, document, told = measured(tmp_path, "--tiny", *(f"--only={kind}" for kind in kinds))
    claims = {claim["id"]: claim for claim in document["claims"]}

    assert status == 0, told
    assert {run["outcome"] for run in document["runs"]} == {"ok"}
    assert {run["kind"] for run in document["runs"]} == {"train", "generate"}
    assert {claim["verdict"] for claim in claims.values()} == {"other"}
    assert {claim["reason"] for claim in claims.values()} == {"tiny"}
    assert all(claim["value"] > -1 for claim in claims.values())
    assert "Stand-ins were run (--tiny): no figure here means anything." in told


def test_ctrl_c_ends_torch_at_once(tmp_path):
    """The memory of the card would stay with a process that nobody waits for."""
    with Running(
        "bench", "--device", "cpu", "--only", "kv-cache-batch-8", "--json", "a.json", home=tmp_path
    ) as running:
        parent = psutil.Process(running.process.pid)
        wait_until(parent.children, 60, lambda: running.output)
        child = parent.children()[0]
        # So much only torch and a model take.
        wait_until(lambda: child.memory_info().rss > 300 * 2**20, 60, lambda: running.output)
        running.process.send_signal(signal.SIGINT)
        status = running.process.wait(30)
    document = json.loads((tmp_path / "a.json").read_text())

    assert status == 130, running.output
    assert not child.is_running()
    assert [(run["outcome"], run["reason"]) for run in document["runs"]] == [("stopped", "stopped")]


@pytest.mark.timeout(300)
def test_several_at_once_come_to_the_table(tmp_path):
    """Conversations at once, or two runs beside each other, could fail on every machine that has a card."""
    kinds = ("dialogpt-5", "together-inference")
    status, document, told = measured(tmp_path, "--tiny", *(f"--only={kind}" for kind in kinds))

    assert status == 0, told
    assert [run["kind"] for run in document["runs"]] == ["serve", "serve", "infer", "generate", "together"]
    assert {run["outcome"] for run in document["runs"]} == {"ok"}
    assert {(claim["verdict"], claim["reason"]) for claim in document["claims"]} == {("other", "tiny")}
    assert all(claim["value"] > 0 and claim["detail"] for claim in document["claims"])


@pytest.mark.timeout(300)
def test_gpt2_small_and_resnet18_for_real(tmp_path):
    """A user without a card would read figures of other models than those that are named."""
    claims = ("imagenet-stem", "kv-cache", "gpt2-first-token")
    status, document, told = measured(tmp_path, "--device", "cpu", "--quick", *(f"--only={claim}" for claim in claims))
    found = {claim["id"]: claim for claim in document["claims"]}
    parameters = {run["spec"]["model"]: run["figures"]["parameters"] for run in document["runs"]}

    assert status == 0, told
    assert parameters == {"gpt2-small": 124_439_808, "resnet18": 11_689_512}
    assert found["kv-cache"]["value"] == pytest.approx(0.1317, abs=1e-4)
    assert found["kv-cache"]["verdict"] == "not met"
    assert found["kv-cache-batch-8"]["value"] == pytest.approx(0.5482, abs=1e-4)
    assert found["kv-cache-batch-8"]["verdict"] == "met"
    assert (found["gpt2-first-token"]["verdict"], found["gpt2-first-token"]["reason"]) == ("other", "cpu")
    assert 0 < found["gpt2-first-token"]["value"] < 60
    assert found["resnet18-epoch-imagenet-stem"]["value"] > 1
    assert document["host"]["torch"]
