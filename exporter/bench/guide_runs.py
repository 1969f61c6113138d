"""The runs that the guide's claims need, and those that only complete the picture.

The MiB of card memory are what NVML said of the process on an H200 (docs/bench.md), context and workspaces included;
where no card has been asked yet, they are that of the nearest run with the difference by arithmetic.
"""

from types import MappingProxyType

from exporter.bench.claim import Run

SIZES = ("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl")

_GPT = {"run": "generate", "prompt": 32, "new_tokens": 992}
_CIFAR = {"run": "train", "model": "resnet18", "stem": "cifar"}
_LARGE = {"model": "resnet50", "stem": "imagenet"}
_TEXT = {"run": "train", "sequence": 512, "steps": 20}
_LONG_PROMPT = {"run": "generate", "model": "gpt2-small", "batch": 8, "prompt": 992, "new_tokens": 32}
_FEW_STEPS = {"precision": "fp32", "batch": 32, "steps": 4, "warmup_iterations": 1, "warmup_seconds": 0.0}

ON_THE_CPU = MappingProxyType(
    {
        precision: Run(
            f"gpt2-small {precision} 32+992 on the CPU, cut after 6 s",
            {**_GPT, "model": "gpt2-small", "precision": precision, "budget_seconds": 6.0},
            where="cpu",
        )
        for precision in ("fp32", "int8_dynamic")
    }
)
"""An answer written by the processor, by precision."""

ANSWERS = MappingProxyType(
    {
        (size, precision): Run(
            f"{size} {precision} 32+992",
            {**_GPT, "model": size, "precision": precision},
            mib,
            on_cpu=ON_THE_CPU["fp32"] if (size, precision) == ("gpt2-small", "fp16") else None,
        )
        for precision, figures in (("fp16", (1004, 1530, 2508, 4070)), ("fp32", (1312, 2260, 4174, 7406)))
        for size, mib in zip(SIZES, figures, strict=True)
    }
)
"""An answer of 992 tokens to a prompt of 32, by size and precision: GPT-2 has 1,024 positions and no more."""

_CPU_EPOCH = Run("resnet18 cifar epoch, batch 32, fp32, on the CPU", {**_CIFAR, **_FEW_STEPS}, where="cpu")

EPOCHS = MappingProxyType(
    {
        (batch, precision): Run(
            f"resnet18 cifar epoch, batch {batch}, {precision}",
            {**_CIFAR, "batch": batch, "precision": precision},
            mib,
            on_cpu=_CPU_EPOCH if (batch, precision) == (128, "fp32") else None,
        )
        for batch, precision, mib in (
            *((128, "fp32", 1766), (128, "tf32", 1864), (128, "amp", 1398)),
            *((512, "fp32", 4896), (512, "tf32", 4952), (512, "amp", 2662)),
        )
    }
)
"""ResNet-18 with CIFAR's stem, by batch and precision."""

EPOCH_IMAGENET_STEM = Run(
    "resnet18 imagenet stem on 32 x 32, batch 128, fp32",
    {**_CIFAR, "stem": "imagenet", "image_size": 32, "batch": 128, "precision": "fp32"},
    1100,
    on_cpu=Run(
        "resnet18 imagenet stem on 32 x 32, batch 32, fp32, on the CPU",
        {**_CIFAR, "stem": "imagenet", "image_size": 32, **_FEW_STEPS},
        where="cpu",
    ),
)

TRAININGS = MappingProxyType(
    {
        (batch, precision): Run(
            f"resnet50 training, batch {batch}, {precision}",
            {**_LARGE, "run": "train", "batch": batch, "precision": precision},
            mib,
        )
        for batch, precision, mib in ((8, "fp32", 1862), (8, "amp", 1522), (32, "fp32", 4000), (32, "amp", 2734))
    }
)
"""ResNet-50 at 224 x 224, by batch and precision."""

CHECKPOINTING = MappingProxyType(
    {
        (model, precision, on): Run(
            f"{model} training 4 x 512, {precision}, checkpointing {'on' if on else 'off'}",
            {**_TEXT, "model": model, "batch": 4, "precision": precision, "checkpointing": on},
            mib,
        )
        for model, precision, on, mib in (
            *(("gpt2-small", "fp32", False, 5350), ("gpt2-small", "fp32", True, 4300)),
            *(("gpt2-small", "amp", False, 5150),),
            *(("gpt2-medium", "fp32", False, 11028), ("gpt2-medium", "fp32", True, 9166)),
            *(("gpt2-medium", "amp", False, 8648), ("gpt2-medium", "amp", True, 8592)),
        )
    }
)
"""GPT-2 trained with AdamW, by model, precision and whether activations are computed again instead of kept."""

ATTENTIONS = MappingProxyType(
    {
        kind: Run(
            f"gpt2-small prompt of 992 x 8, fp16, attention {kind}",
            {**_LONG_PROMPT, "precision": "fp16", "attention": kind},
            mib,
        )
        for kind, mib in (("plain", 1862), ("chunked", 1510), ("sdpa", 1484))
    }
)
"""Eight prompts of 992 tokens at once, by kind of attention."""

KV_HALF = Run(
    "gpt2-small fp16 32+992 x 8",
    {**_GPT, "model": "gpt2-small", "precision": "fp16", "batch": 8},
    1400,
    on_cpu=Run(
        "gpt2-small fp32 32+992 x 8 on the CPU, cut after 6 s",
        {**_GPT, "model": "gpt2-small", "precision": "fp32", "batch": 8, "budget_seconds": 6.0},
        where="cpu",
    ),
)

SPARE = (
    *(run for run in ANSWERS.values() if run.spec["precision"] == "fp32"),
    *EPOCHS.values(),
    *CHECKPOINTING.values(),
    *(
        Run(
            f"resnet50 inference, batch 32, {precision}",
            {**_LARGE, "run": "infer", "batch": 32, "precision": precision},
            mib,
        )
        for precision, mib in (("fp32", 1488), ("amp", 1206), ("fp16", 1044))
    ),
    *ATTENTIONS.values(),
    *(
        Run(
            f"resnet18 cifar whole epoch, batch 128, {precision}",
            {**_CIFAR, "batch": 128, "precision": precision, "full": True},
            mib,
        )
        for precision, mib in (("tf32", 1864), ("fp32", 2064))
    ),
    Run("gpt2-small amp 32+992", {**_GPT, "model": "gpt2-small", "precision": "amp"}, 1352),
    Run("resnet18 inference, batch 1, fp32", {"run": "infer", "model": "resnet18"}, 788),
    Run(
        "gpt2-small fp16 32+992, attention plain",
        {**_GPT, "model": "gpt2-small", "precision": "fp16", "attention": "plain"},
        1004,
    ),
)
"""Further runs, made with ``--all``."""
