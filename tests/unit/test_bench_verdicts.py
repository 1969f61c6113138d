"""What is said of a claim when its figures are there, when they are not, and when they must not be compared."""

import pytest

from exporter.bench.claim import Claim, Reference, Result, Run, Verdict, held_bytes, judge
from exporter.bench.telling.words import REASONS, shown

RUN = Run("a run", {"run": "infer", "model": "resnet18"}, 100)
OTHER = Run("another", {"run": "infer", "model": "resnet18"}, 100)


def claim(**changes):
    usual = {
        "id": "fast",
        "says": "It is fast",
        "reference": Reference("30 s", 30),
        "unit": "seconds",
        "runs": {"run": RUN},
        "value": lambda found: found["run"]["seconds"],
        "how": "by the clock",
    }
    return Claim(**{**usual, **changes})


def verdict(result, **changes):
    return judge(claim(**changes), {"a run": result})


@pytest.mark.parametrize(
    ("test", "value", "word"),
    [
        *(("at most", 29.9, "met"), ("at most", 30, "met"), ("at most", 30.1, "not met")),
        *(("at least", 30, "met"), ("at least", 29, "not met")),
        *(("about", 23, "met"), ("about", 37, "met")),
    ],
)
def test_a_number_is_held_against_the_reference(test, value, word):
    """A machine would be said to do what it does not."""
    found = verdict(Result({"seconds": value}), reference=Reference("30 s", 30, test))

    assert found == Verdict(word, "", value)


@pytest.mark.parametrize(("value", "reason"), [(22, "less"), (38, "more")])
def test_a_size_can_be_missed_on_both_sides(value, reason):
    """A model that needs less than was claimed would look like one that does not fit."""
    found = verdict(Result({"seconds": value}), reference=Reference("30 s", 30, "about"))

    assert found == Verdict("not met", reason, value)
    assert reason in REASONS


def test_less_of_something_is_at_most_so_much():
    """Memory that falls by 42 % would not count as falling by 30 %."""
    reference = Reference("-30 %", -0.3)

    assert verdict(Result({"seconds": -0.42}), unit="change", reference=reference).word == "met"
    assert verdict(Result({"seconds": -0.26}), unit="change", reference=reference).word == "not met"


def test_a_run_that_came_to_no_result_hands_its_reason_on():
    """A user would look for a figure where a card was too full."""
    assert verdict(Result(reason="vram")) == Verdict("not measured", "vram")
    assert judge(claim(), {}) == Verdict("not measured", "not_run")


def test_a_figure_that_is_missing_costs_the_verdict_and_nothing_else():
    """A driver that tells nothing of processes would end the whole bench."""
    assert verdict(Result({})) == Verdict("not measured", "no_figure")
    assert verdict(Result({"seconds": None})) == Verdict("not measured", "no_figure")
    assert verdict(Result({"seconds": 0}), value=lambda found: 1 / found["run"]["seconds"]).reason == "no_figure"
    without = verdict(Result({"seconds": 3}), detail=lambda found: found["run"]["nothing"])
    assert without == Verdict("met", "", 3.0, "")


def test_a_figure_of_a_card_that_the_processor_cannot_have_says_so():
    """A user without a card would think that something broke."""
    value = {"value": lambda found: held_bytes(found["run"])}

    assert verdict(Result({}, on_cpu=True), **value) == Verdict("not measured", "no_card")
    assert verdict(Result({}), **value) == Verdict("not measured", "no_figure")
    assert verdict(Result({}, on_cpu=True)) == Verdict("not measured", "no_figure")
    assert verdict(Result({"process_bytes": 20, "card_bytes": 40}), **value).word == "met"
    assert verdict(Result({"process_bytes": None, "card_bytes": 40}), **value).word == "not met"


@pytest.mark.parametrize(
    ("result", "changes", "reason"),
    [
        (Result({"seconds": 3}, tiny=True), {}, "tiny"),
        (Result({"seconds": 3}, on_cpu=True), {}, "cpu"),
        (Result({"seconds": 3}), {"comparable": False}, "undefined"),
        (Result({"seconds": 31}, contended=True), {}, "contended"),
    ],
    ids=["tiny", "cpu", "undefined", "contended"],
)
def test_what_must_not_be_compared_is_other(result, changes, reason):
    """A number would be praised or blamed for something that it does not show."""
    found = verdict(result, **changes)

    assert (found.word, found.reason, found.value) == ("other", reason, result.figures["seconds"])
    assert reason in REASONS


def test_who_meets_the_reference_in_company_meets_it():
    """A shared card would never be told that it is fast enough."""
    assert verdict(Result({"seconds": 29}, contended=True)).word == "met"


def test_company_costs_time_and_no_bytes():
    """Memory that is too much would be excused by somebody who computes."""
    assert verdict(Result({"seconds": 31}, contended=True), unit="bytes").word == "not met"


def test_what_is_true_of_a_model_may_be_shown_by_the_processor():
    """A user without a card would learn nothing of sizes either."""
    assert verdict(Result({"seconds": 31}, on_cpu=True), of_a_card=False).word == "not met"


def test_a_run_beside_the_needed_ones_only_adds_words():
    """One run too many that fails would take the verdict with it."""
    changes = {"besides": {"other": OTHER}, "detail": lambda found: ", ".join(sorted(found))}
    results = {"a run": Result({"seconds": 3})}

    assert judge(claim(**changes), {**results, "another": Result(reason="vram")}).detail == "run"
    assert judge(claim(**changes), {**results, "another": Result({"seconds": 4})}).detail == "other, run"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00247, "seconds", "2.47 ms"),
        (0.00379, "more seconds", "+3.79 ms"),
        (-0.5, "more seconds", "-500 ms"),
        (1_052_770_304, "bytes", "1.05 GB"),
        (-0.424, "change", "-42 %"),
        (0.132, "share", "13.2 %"),
        (2.96, "times", "3.0 x"),
        (45, "per second", "45.0 /s"),
        (None, "seconds", "-"),
    ],
)
def test_a_value_reads_as_people_write_it(value, unit, text):
    """A reader would have to compute before comparing."""
    assert shown(value, unit) == text
