"""Which runs are made, with which specs, and which claims each of them serves: pure.

1. A claim is chosen when no ``--only`` is given, or one of its words stands in the claim's id or sentence or in the
   name of one of its runs. All runs of a chosen claim are made, each once, in the order of the claims.
2. ``--all`` adds the runs that serve no claim; ``--only`` adds those whose name has the word.
3. Without a card a run gives way to the one that it names for the processor, which may stand for several, or is left
   out with the reason ``no_card``.
4. ``--quick``: fewer iterations and steps and three seconds a phase; without a p90, the median is judged.
   ``--full-epoch`` and ``--data`` concern the training of a CNN with CIFAR's stem.
5. ``--tiny`` replaces every run by a stand-in for the processor, to try out the way from the plan to the table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from exporter.bench.claim import NO_CARD, Claim, Run
from exporter.model_memory.margin import margin

Spec = Mapping[str, object]

_QUICK_ITERATIONS, _QUICK_STEPS, _QUICK_SECONDS = 16, 10, 3.0
_TINY: Spec = {
    "iterations": 3,
    "warmup_iterations": 1,
    "warmup_seconds": 0.0,
    "steps": 1,
    "threads": 1,
    "full": False,
}
_TEXT_MODELS = ("gpt2", "dialogpt", "biogpt")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line; ``card`` when the runs go to one, ``data`` a folder or empty."""

    card: bool
    only: Sequence[str] = ()
    spare: bool = False
    quick: bool = False
    full_epoch: bool = False
    tiny: bool = False
    data: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """One run as it is to be made; ``left_out`` is a reason, or empty when it is made.

    ``stands_for`` are the names of the claims' runs of which it is one: its own, or those that it replaces.
    """

    run: Run
    stands_for: tuple[str, ...]
    spec: Spec
    serves: tuple[str, ...]
    on_cpu: bool
    tiny: bool = False
    left_out: str = ""

    @property
    def needs_bytes(self) -> int:
        """Card memory that it takes; 0 on the processor."""
        return 0 if self.on_cpu else self.run.needs_bytes

    @property
    def wants_bytes(self) -> int:
        """Card memory that must be free before it starts: what it takes, and 512 MiB or a tenth beside it."""
        return round(self.needs_bytes + margin(self.needs_bytes)) if self.needs_bytes else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The claims chosen, and the runs, left out ones too."""

    claims: tuple[Claim, ...]
    runs: tuple[Planned, ...]

    @property
    def to_make(self) -> tuple[Planned, ...]:
        """The runs that are made."""
        return tuple(planned for planned in self.runs if not planned.left_out)


def plan(claims: Iterable[Claim], spare: Iterable[Run], wishes: Wishes) -> Plan:
    """The plan; without any run when no claim and no run has one of the words."""
    chosen = tuple(claim for claim in claims if not wishes.only or _has(wishes.only, _texts(claim)))
    serves: dict[str, list[str]] = {}
    runs: dict[str, Run] = {}
    for claim in chosen:
        for run in claim.all_runs:
            runs.setdefault(run.name, run)
            serves.setdefault(run.name, []).append(claim.id)
    for run in spare:
        if _has(wishes.only, [run.name]) if wishes.only else wishes.spare:
            runs.setdefault(run.name, run)
    planned: dict[str, Planned] = {}
    for name, run in runs.items():
        one = _planned(run, tuple(serves.get(name, ())), wishes)
        same = planned.get(one.run.name)
        planned[one.run.name] = _together(same, one) if same else one
    return Plan(chosen, tuple(planned.values()))


def _together(first: Planned, second: Planned) -> Planned:
    """One run that stands for both."""
    serves = dict.fromkeys((*first.serves, *second.serves))
    stands_for = dict.fromkeys((*first.stands_for, *second.stands_for))
    return replace(first, serves=tuple(serves), stands_for=tuple(stands_for))


def _texts(claim: Claim) -> list[str]:
    return [claim.id, claim.says, *(run.name for run in claim.all_runs)]


def _has(words: Sequence[str], texts: Iterable[str]) -> bool:
    return any(word.lower() in text.lower() for text in texts for word in words)


def _planned(run: Run, serves: tuple[str, ...], wishes: Wishes) -> Planned:
    if wishes.tiny:
        spec = {**_changed(run.spec, _tiny), "device": "cpu", **run.tiny}
        return Planned(run, (run.name,), spec, serves, on_cpu=True, tiny=True)
    on_cpu = run.where == "cpu" or not wishes.card
    made = run.on_cpu if on_cpu and run.where == "card" else run
    if made is None:
        return Planned(run, (run.name,), run.spec, serves, on_cpu=True, left_out=NO_CARD)
    spec = {**made.spec, "device": "cpu"} if on_cpu else dict(made.spec)
    if _of_cifar(spec):
        spec |= _epoch_as_wished(spec, wishes)
    if wishes.quick and not spec.get("full"):
        spec = _changed(spec, _quick)
    return Planned(made, (run.name,), spec, serves, on_cpu=on_cpu)


def _changed(spec: Spec, change: Callable[[Spec], dict[str, object]]) -> dict[str, object]:
    """The spec, and that of the run beside it where there is one, each with what ``change`` finds for it."""
    changed = {**spec, **change(spec)}
    beside = spec.get("beside")
    if isinstance(beside, Mapping):
        changed["beside"] = _changed(cast("Spec", beside), change)
    return changed


def _of_cifar(spec: Spec) -> bool:
    return (spec["run"], spec.get("stem")) == ("train", "cifar")


def _epoch_as_wished(spec: Spec, wishes: Wishes) -> dict[str, object]:
    changes: dict[str, object] = {"data": wishes.data} if wishes.data else {}
    if wishes.full_epoch and not spec.get("full"):
        changes |= {"full": True}
    return changes


def _quick(spec: Spec) -> dict[str, object]:
    def least(key: str, most: float) -> dict[str, object]:
        asked = spec.get(key)
        return {key: min(asked, most) if isinstance(asked, int | float) and asked else most}

    steps, seconds = least("steps", _QUICK_STEPS), least("budget_seconds", _QUICK_SECONDS)
    timed = least("run_seconds", _QUICK_SECONDS) if spec.get("run_seconds") else {}
    return {"iterations": _QUICK_ITERATIONS, **steps, **seconds, **timed}


def _tiny(spec: Spec) -> dict[str, object]:
    """The same kind of run, small enough for one processor core."""
    model = str(spec["model"])
    changes: dict[str, object] = {"precision": "fp32"}
    if spec.get("precision") == "int8_dynamic":
        changes = {}
    if spec.get("run_seconds"):
        changes |= {"run_seconds": 0.5}
    if model.startswith(_TEXT_MODELS):
        changes |= {"model": "gpt2-tiny", "prompt": 8, "new_tokens": 24, "sequence": 32, "streams": 2, "batch": 1}
    else:
        small = {"model": "resnet18", "batch": 2, "image_size": 32} if model.startswith("resnet") else {}
        changes |= {"batch": 1, "image_size": 64, "volume": 16, **small}
    return {**_TINY, **changes}
