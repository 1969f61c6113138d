"""The estimates beside what was measured: torch 2.11 with CUDA 13.0 on an H200 (docs/workload.md), in MiB.

There a run had all the memory that it liked, so what torch had reserved and what the driver counted for the process are
an upper end: with less memory torch gives back what it does not use, and cuDNN takes ways with less workspace.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporter.model_memory.answering import AMP, FP16, FP32, MIB, Parts, answering_cnn, answering_gpt
from exporter.model_memory.shapes import GPTS, RESNETS
from exporter.model_memory.training import training_cnn, training_gpt

LOWEST_RATIO, HIGHEST_RATIO = 0.92, 1.30
"""Between these is each estimate, divided by what torch had reserved; the lower end may never fall below 0.9."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run; ``process_mib`` is the driver's count, with the context."""

    name: str
    estimate: Parts
    allocated_mib: int
    reserved_mib: int
    process_mib: int

    @property
    def of_reserved(self) -> float:
        """The estimate without a context, as a multiple of what torch had reserved."""
        return self.estimate.in_torch / MIB / self.reserved_mib

    @property
    def context_mib(self) -> int:
        """What the driver counted beyond torch."""
        return self.process_mib - self.reserved_mib


def measured() -> tuple[Measured, ...]:
    """Every run of that table whose kind of attention and arithmetic is estimated here."""
    return (*_answering(), *_training())


def _answering() -> Iterator[Measured]:
    for size, precision, *seen in (
        ("small", FP16, 313, 326, 1004),
        ("medium", FP16, 807, 852, 1530),
        ("large", FP16, 1690, 1830, 2508),
        ("xl", FP16, 3373, 3392, 4070),
        ("small", FP32, 582, 636, 1312),
        ("medium", FP32, 1580, 1584, 2260),
        ("large", FP32, 3420, 3498, 4174),
        ("xl", FP32, 6712, 6730, 7406),
        ("small", AMP, 619, 674, 1352),
    ):
        parts = answering_gpt(GPTS[f"gpt2-{size}"], precision, 1, 1024, prompt=32)
        yield Measured(f"gpt2-{size} answering, prompt of 32, {precision.name}", parts, *seen)
    parts = answering_gpt(GPTS["gpt2-small"], FP16, 8, 1024, prompt=992)
    yield Measured("gpt2-small answering 8, prompt of 992, fp16", parts, 728, 806, 1484)
    yield Measured("resnet18 answering 1, fp32", answering_cnn(RESNETS["resnet18"], FP32, 1), 84, 104, 788)
    for precision, *seen in ((FP32, 566, 802, 1488), (AMP, 359, 520, 1206), (FP16, 303, 358, 1044)):
        parts = answering_cnn(RESNETS["resnet50"], precision, 32)
        yield Measured(f"resnet50 answering 32, {precision.name}", parts, *seen)


def _training() -> Iterator[Measured]:
    for precision, on, *seen in (
        (FP32, False, 8788, 10286, 11028),
        (FP32, True, 7226, 8424, 9166),
        (AMP, False, 7722, 7890, 8648),
        (AMP, True, 7030, 7834, 8592),
    ):
        parts, _ = training_gpt(GPTS["gpt2-medium"], precision, 4, 512, checkpointing=on)
        yield Measured(f"gpt2-medium training 4 x 512, {precision.name}{', checkpointing' if on else ''}", parts, *seen)
    for batch, precision, *seen in (
        (8, FP32, 991, 1102, 1862),
        (8, AMP, 688, 764, 1522),
        (32, FP32, 2953, 3240, 4000),
        (32, AMP, 1701, 1976, 2734),
    ):
        parts, _ = training_cnn(RESNETS["resnet50"], precision, batch)
        yield Measured(f"resnet50 training {batch}, {precision.name}", parts, *seen)
    cifar = replace(RESNETS["resnet18"], stem="cifar")
    for batch, precision, *seen in (
        (128, FP32, 902, 1306, 2064),
        (128, AMP, 487, 640, 1398),
        (512, FP32, 3591, 4138, 4896),
        (512, AMP, 1366, 1904, 2662),
    ):
        parts, _ = training_cnn(cifar, precision, batch)
        yield Measured(f"resnet18 training on CIFAR {batch}, {precision.name}", parts, *seen)


def comparison() -> str:
    """All of it as a table in Markdown."""
    lines = [
        "| run | estimate | torch allocated | torch reserved | estimate to reserved | process | of it context |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in measured():
        cells = (
            f"{each.estimate.in_torch / MIB:.0f}",
            *(str(each.allocated_mib), str(each.reserved_mib), f"{100 * (each.of_reserved - 1):+.0f} %"),
            *(str(each.process_mib), str(each.context_mib)),
        )
        lines.append(f"| {each.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
