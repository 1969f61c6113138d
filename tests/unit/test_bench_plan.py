"""Which runs are made for which wishes."""

import pytest

from exporter.bench.claim import GB, MIB, Claim, Reference, Run
from exporter.bench.plan import Wishes, plan
from exporter.bench.telling.listing import listing

ON_CPU = Run("small on the CPU", {"run": "generate", "model": "gpt2-small", "budget_seconds": 6.0}, where="cpu")
ANSWER = Run("answer", {"run": "generate", "model": "gpt2-small", "precision": "fp16"}, 1000, on_cpu=ON_CPU)
EPOCH = Run("epoch", {"run": "train", "model": "resnet18", "stem": "cifar", "batch": 128}, 2000)
LARGE = Run("large", {"run": "train", "model": "resnet50", "batch": 32, "steps": 5}, 10_000)
SPARE = (Run("spare answer", {"run": "generate", "model": "gpt2-xl"}, 4000), ANSWER)


def claim(name, **runs):
    return Claim(
        id=name,
        says=f"{name} is fast",
        reference=Reference("1 s", 1),
        unit="seconds",
        runs=runs,
        value=lambda found: found["run"]["seconds"],
        how="by the clock",
    )


CLAIMS = (claim("first", run=ANSWER), claim("second", run=ANSWER, epoch=EPOCH), claim("third", cpu=ON_CPU, run=LARGE))


def names(**wishes):
    return [planned.run.name for planned in plan(CLAIMS, SPARE, Wishes(**{"card": True, **wishes})).to_make]


def one(name, **wishes):
    found = plan(CLAIMS, SPARE, Wishes(**{"card": True, **wishes}))
    return next(planned for planned in found.runs if planned.run.name == name)


def test_a_run_that_serves_several_claims_is_made_once():
    """The bench would take twice as long for the same figures."""
    assert names() == ["answer", "epoch", "small on the CPU", "large"]
    assert one("answer").serves == ("first", "second")


def test_without_a_card_one_run_may_stand_for_several():
    """A user without a card would wait for the same thing twice."""
    assert names(card=False) == ["small on the CPU"]
    assert one("small on the CPU", card=False).stands_for == ("answer", "small on the CPU")
    assert one("small on the CPU", card=False).serves == ("first", "second", "third")
    assert one("small on the CPU", card=False).spec["device"] == "cpu"


def test_what_makes_no_sense_without_a_card_is_left_out_and_says_so():
    """A user would wait for hours, or wonder where the claim went."""
    assert one("large", card=False).left_out == "no_card"
    assert "left out, no_card (makes sense on a card only):\n  epoch\n  large\n" in listing(
        plan(CLAIMS, (), Wishes(card=False)), None
    )


@pytest.mark.parametrize(
    ("only", "made"),
    [
        (("FIRST",), ["answer"]),
        (("third is",), ["small on the CPU", "large"]),
        (("epoch",), ["answer", "epoch"]),
        (("first", "large"), ["answer", "small on the CPU", "large"]),
        (("spare",), ["spare answer"]),
        (("nothing",), []),
    ],
)
def test_a_word_chooses_by_id_sentence_and_name_of_a_run(only, made):
    """A user who wants one figure would have to wait for all."""
    assert names(only=only) == made


def test_runs_without_a_claim_are_made_when_asked_for():
    """The whole table of a card could not be made with one command."""
    assert names(spare=True) == ["answer", "epoch", "small on the CPU", "large", "spare answer"]
    assert one("spare answer", spare=True).serves == ()


def test_quick_asks_for_less_and_never_for_more():
    """A quick bench would take longer than the usual one."""
    answer, large = one("answer", quick=True).spec, one("large", quick=True).spec

    assert (answer["iterations"], answer["budget_seconds"]) == (16, 3.0)
    assert (large["steps"], one("epoch", quick=True).spec["steps"]) == (5, 10)
    assert one("small on the CPU", quick=True).spec["budget_seconds"] == 3.0


def test_a_whole_epoch_and_real_images_are_for_what_has_them():
    """A GPT would be asked to train on pictures, and refuse."""
    epoch = one("epoch", full_epoch=True, data="/cifar", quick=True).spec

    assert (epoch["full"], epoch["data"], epoch.get("budget_seconds")) == (True, "/cifar", None)
    assert one("large", full_epoch=True, data="/cifar").spec == LARGE.spec
    assert one("epoch", data="/cifar").spec.get("full") is None


def test_tiny_stands_in_for_every_run_on_the_processor():
    """Trying out the table would need a card and an hour."""
    found = plan(CLAIMS, SPARE, Wishes(card=True, tiny=True))

    assert [planned.run.name for planned in found.to_make] == ["answer", "epoch", "small on the CPU", "large"]
    for planned in found.runs:
        assert (planned.on_cpu, planned.tiny, planned.spec["device"]) == (True, True, "cpu")
    assert one("answer", tiny=True).spec["model"] == "gpt2-tiny"
    assert one("large", tiny=True).spec["image_size"] == 32


def test_the_run_beside_another_follows_the_same_wishes():
    """Of two runs at once one would be over before the other has begun."""
    pair = Run("both", {**EPOCH.spec, "run_seconds": 10.0, "beside": {**ANSWER.spec, "run_seconds": 10.0}}, 3000)
    claims = (claim("together", run=pair),)

    quick = plan(claims, (), Wishes(card=True, quick=True)).runs[0].spec
    assert (quick["run_seconds"], quick["beside"]["run_seconds"]) == (3.0, 3.0)
    tiny = plan(claims, (), Wishes(card=True, tiny=True)).runs[0].spec
    assert (tiny["model"], tiny["beside"]["model"]) == ("resnet18", "gpt2-tiny")


def test_the_list_tells_memory_and_what_does_not_fit():
    """A user of a small card would learn only afterwards what it cannot hold."""
    text = listing(plan(CLAIMS, (), Wishes(card=True)), 6 * GB)

    assert "\n1000.0 MiB  answer\n             first, second\n" in text
    assert "\n  9.8 GiB  large (vram: not enough is free now)\n             third\n" in text
    assert "\nprocessor  small on the CPU\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[-1] == "4 runs for 3 claims; 5.6 GiB of the card are free"


def test_beside_what_a_run_needs_something_stays_free():
    """A run would take the last memory of the card from whoever works on it."""
    assert one("answer").wants_bytes == (1000 + 512) * MIB
    assert one("large").wants_bytes == 11_000 * MIB
    assert one("small on the CPU").wants_bytes == 0
