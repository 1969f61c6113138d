"""What one run is asked to do: a JSON object, checked before torch is loaded.

A spec that makes no sense is refused here with a named reason, so that no second of a card goes into it. What only
torch can tell (is there a card, can this torch quantize) is refused later, by devices.py.
"""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from .known import BOXES, GENERATE, INFER, LABELS, MODELS, MODULE, ONNX, RESNET, SERVE, TOKENS, TRAIN, VOLUMES, Family

RUNS = (GENERATE, SERVE, INFER, TRAIN, ONNX, MODULE)
PRECISIONS = ("fp32", "tf32", "fp16", "amp", "int8_dynamic")
ON_CUDA_ONLY = ("tf32", "fp16", "amp")
ATTENTIONS = ("sdpa", "plain", "chunked")
OPTIMIZERS = ("sgd", "adamw")
STEMS = ("cifar", "imagenet")
THREADS, BATCHED = "threads", "batched"
SERVINGS = (THREADS, BATCHED)
MOST_POSITIONS = 1024
CIFAR_SIDE = 32

BAD_SPEC, NO_TORCH, WRONG_CUDA, NO_CUDA, NO_INT8, NO_DATA, NO_ONNXRUNTIME = (
    "bad_spec",
    "no_torch",
    "wrong_cuda",
    "no_cuda",
    "no_int8",
    "no_data",
    "no_onnxruntime",
)
"""Why a run is refused."""


class Refused(Exception):  # noqa: N818 - it is an outcome, and bears the outcome's name
    """This run is not tried; ``reason`` is a word for a label, the message says what to change."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Spec:
    """One run. Sizes that belong to another kind of model or run are not looked at."""

    run: str
    model: str
    device: str = "cpu"
    precision: str = "fp32"
    batch: int = 1
    seed: int = 1
    threads: int = 0
    """0: as many as torch takes by itself."""

    prompt: int = 32
    new_tokens: int = 992
    attention: str = "sdpa"
    attention_chunk: int = 128
    sequence: int = 512
    streams: int = 16
    """The most conversations at once that are served."""
    serving: str = THREADS

    stem: str = "imagenet"
    image_size: int = 0
    """0: what belongs to the model and, of a ResNet, to the stem."""
    volume: int = 64
    """Voxels on each side of a volume."""

    optimizer: str = ""
    """Empty: sgd for a CNN, adamw for a GPT."""
    checkpointing: bool = False
    steps: int = 30
    full: bool = False
    """The whole epoch instead of ``steps`` steps that are extrapolated."""
    data: str = ""
    """A folder with CIFAR-10's files; without one the images are random and the loader is not measured."""

    module: str = ""
    """A Python file of the user's, for the model ``own``; what it defines is told in own_module.py."""
    module_name: str = "model"
    """What in that file makes the module."""
    training: bool = False
    """Steps of its training instead of its answers."""

    iterations: int = 64
    warmup_iterations: int = 3
    warmup_seconds: float = 0.3
    budget_seconds: float = 0.0
    """After this long in a phase, its cold call and its warm-up included, no further call, token or step is begun; one
    is always timed. The first token and the further ones of a GPT are a phase each. 0: no limit."""

    run_seconds: float = 0.0
    """Measure for so long instead of for so many iterations, steps or one answer, whatever the budget; 0: by number."""
    ready_seconds: float = 0.0
    """How long the run waits, warm, before it measures, for its parent to say "go on"; 0: it does not."""

    hold_seconds: float = 0.0
    """How long the tensors are kept at the barrier for the parent to read the memory, unless it says "go on" before."""
    parent: int = 0
    """The parent's process id; a child that has another parent by now does not begin."""

    @property
    def family(self) -> Family:
        """What kind of model it is."""
        return MODELS[self.model]

    @property
    def gpt(self) -> bool:
        """Whether the model reads and writes text."""
        return self.family.reads == TOKENS

    @property
    def dataset(self) -> str:
        """Whose classes and sizes a CNN's are: only a ResNet can have another stem than ImageNet's."""
        return self.stem if self.family == RESNET else "imagenet"

    @property
    def side(self) -> int:
        """Pixels on each side of an image, voxels on each side of a volume."""
        if self.family.reads == VOLUMES:
            return self.volume
        return self.image_size or (CIFAR_SIDE if self.dataset == "cifar" else self.family.side)


def parse(text: str) -> Spec:
    """Read a spec.

    Raises:
        Refused: with the first thing that is wrong.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        message = f"the spec is no JSON: {error}"
        raise Refused(BAD_SPEC, message) from error
    _refuse_if(not isinstance(document, dict), "the spec is no JSON object")
    spec = _build(typing.cast("dict[str, object]", document))
    _check_words(spec)
    _check_sizes(spec)
    _check_sense(spec)
    _check_time(spec)
    _check_module(spec)
    return spec


def _refuse_if(wrong: object, message: str, reason: str = BAD_SPEC) -> None:
    if wrong:
        raise Refused(reason, message)


def _build(document: Mapping[str, object]) -> Spec:
    types_of = typing.get_type_hints(Spec)
    for key, value in document.items():
        _refuse_if(key not in types_of, f"unknown key {key!r}")
        wanted: type = types_of[key]
        number_for_float = wanted is float and type(value) is int
        fits = type(value) is wanted or number_for_float
        _refuse_if(not fits, f"{key} must be {wanted.__name__}, not {type(value).__name__}")
    missing = [key for key in ("run", "model") if key not in document]
    _refuse_if(missing, f"missing: {', '.join(missing)}")
    return Spec(**typing.cast("dict[str, typing.Any]", document))


_WORDS = types.MappingProxyType(
    {
        "run": RUNS,
        "model": tuple(MODELS),
        "precision": PRECISIONS,
        "attention": ATTENTIONS,
        "serving": SERVINGS,
        "stem": STEMS,
        "optimizer": ("", *OPTIMIZERS),
    }
)
_AT_LEAST_ONE = (
    *("batch", "prompt", "new_tokens", "attention_chunk", "sequence"),
    *("streams", "steps", "iterations", "volume"),
)


def _check_words(spec: Spec) -> None:
    for key, allowed in _WORDS.items():
        _refuse_if(getattr(spec, key) not in allowed, f"{key} must be one of {', '.join(filter(None, allowed))}")
    known = spec.device == "cpu" or re.fullmatch(r"cuda(:[0-9]{1,3})?", spec.device)
    _refuse_if(not known, "device must be cpu, cuda or cuda:N")


def _check_sizes(spec: Spec) -> None:
    for key in _AT_LEAST_ONE:
        _refuse_if(getattr(spec, key) < 1, f"{key} must be at least 1")
    for key, value in dataclasses.asdict(spec).items():
        amiss = isinstance(value, int | float) and not 0 <= value < float("inf")
        _refuse_if(amiss, f"{key} must be a number that is not negative")
    answer = spec.prompt + spec.new_tokens
    positions = {GENERATE: answer, SERVE: answer, ONNX: spec.prompt}.get(spec.run, spec.sequence)
    _refuse_if(
        spec.gpt and positions > MOST_POSITIONS,
        f"{spec.model} has {MOST_POSITIONS} positions, and {positions} are asked for",
    )
    multiple = spec.family.multiple
    _refuse_if(spec.side % multiple, f"{spec.model} needs sides that are multiples of {multiple}, not {spec.side}")


def _check_time(spec: Spec) -> None:
    by_time = spec.run_seconds or spec.ready_seconds
    by_number = spec.run in {SERVE, ONNX}
    _refuse_if(by_time and by_number, f"{spec.run} is measured by number only, and waits for nobody")
    _refuse_if(by_time and spec.full, "a run for a time is no whole epoch")


def _check_module(spec: Spec) -> None:
    if spec.run == MODULE:
        _refuse_if(not spec.module, "module names no file")
        _refuse_if(spec.precision == "int8_dynamic", "a module of one's own is measured as it is, not in int8_dynamic")
        _refuse_if(spec.training and spec.precision == "fp16", "no training in fp16; mixed precision is amp")


def _check_sense(spec: Spec) -> None:
    _refuse_if(spec.run not in spec.family.runs, f"{spec.model} cannot {spec.run}")
    on_cpu = spec.device == "cpu"
    _refuse_if(spec.precision in ON_CUDA_ONLY and on_cpu, f"{spec.precision} is measured on CUDA only", NO_CUDA)
    quantized = spec.precision == "int8_dynamic"
    _refuse_if(quantized and not on_cpu, "dynamic quantization exists on the CPU only", NO_INT8)
    without_linear = spec.family.answers in {BOXES, LABELS}
    _refuse_if(quantized and without_linear, f"{spec.model} has no linear layer that could be quantized", NO_INT8)
    halved = spec.precision == "fp16" or quantized
    _refuse_if(spec.run == TRAIN and halved, f"no training in {spec.precision}; mixed precision is amp")
    _refuse_if(
        spec.run == ONNX and spec.precision not in {"fp32", "tf32", "fp16"},
        f"torch and ONNX Runtime are compared in fp32, tf32 or fp16, not in {spec.precision}",
    )
    of_cifar = spec.run == TRAIN and not spec.gpt and spec.dataset == "cifar" and spec.side == CIFAR_SIDE
    _refuse_if(
        (spec.full or spec.data) and not of_cifar,
        "full and data belong to the training of a CNN with the CIFAR stem on 32 x 32 images",
    )
