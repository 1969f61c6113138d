"""``gpuwarden bench`` on a real card: what it takes is read, what it took is given back, and the small figures hold."""

import importlib.util
import json

import pytest

from tests.e2e.running import Running

pytestmark = pytest.mark.gpu

MIB = 2**20
CLAIMS = ("resnet18-epoch", "gpt2-first-token", "kv-cache-batch-8", "batch-8-memory")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The status, the document and the words of a quick bench of a few claims."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    home = tmp_path_factory.mktemp("bench")
    arguments = ("--device", "cuda", "--quick", "--json", "a.json", *(f"--only={claim}" for claim in CLAIMS))
    with Running("bench", *arguments, home=home) as running:
        status = running.process.wait(280)
    return status, json.loads((home / "a.json").read_text()), running.output


@pytest.mark.timeout(300)
def test_every_run_comes_to_a_result(measured):
    """A user with a card would get a table of excuses."""
    status, document, told = measured

    assert status == 0, told
    assert {run["outcome"] for run in document["runs"]} <= {"ok", "not run"}, told
    assert {run["reason"] for run in document["runs"]} <= {"", "vram"}, told
    assert not any(run["on_cpu"] for run in document["runs"])


def test_what_a_run_takes_of_the_card_is_read_while_it_holds_it(measured):
    """The claims about memory would rest on nothing."""
    _, document, told = measured
    for run in document["runs"]:
        if run["outcome"] == "ok":
            taken = run["figures"].get("process_bytes", run["figures"]["card_bytes"])
            assert taken >= run["figures"]["torch_allocated_peak_bytes"], told
            assert taken <= run["figures"]["torch_reserved_peak_bytes"] + 1500 * MIB, told
            assert run["card"]["barrier"]["sm_clock_hertz"] > 0


def test_the_memory_comes_back(measured):
    """A bench would leave less of the card than there was."""
    _, document, told = measured

    assert "After each run the card's memory was back where it had been before." in told
    assert all((run["settled_seconds"] or 0) < 5 for run in document["runs"])


def test_the_cache_is_half_of_the_memory_at_eight_answers(measured):
    """A figure that is arithmetic would be measured wrong."""
    found = {claim["id"]: claim for claim in measured[1]["claims"]}["kv-cache-batch-8"]

    assert found["verdict"] == "met"
    assert found["value"] == pytest.approx(0.5482, abs=1e-4)
