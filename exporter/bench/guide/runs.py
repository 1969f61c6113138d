"""The runs that the guide's claims need, and those that only complete the picture."""

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
            on_cpu=ON_THE_CPU["fp32"] if (size, precision) == ("gpt2-small", "fp16") else None,
        )
        for precision in ("fp16", "fp32")
        for size in SIZES
    }
)
"""An answer of 992 tokens to a prompt of 32, by size and precision: GPT-2 has 1,024 positions and no more."""

_CPU_EPOCH = Run("resnet18 cifar epoch, batch 32, fp32, on the CPU", {**_CIFAR, **_FEW_STEPS}, where="cpu")

EPOCHS = MappingProxyType(
    {
        (batch, precision): Run(
            f"resnet18 cifar epoch, batch {batch}, {precision}",
            {**_CIFAR, "batch": batch, "precision": precision},
            on_cpu=_CPU_EPOCH if (batch, precision) == (128, "fp32") else None,
        )
        for batch in (128, 512)
        for precision in ("fp32", "tf32", "amp")
    }
)
"""ResNet-18 with CIFAR's stem, by batch and precision."""

EPOCH_IMAGENET_STEM = Run(
    "resnet18 imagenet stem on 32 x 32, batch 128, fp32",
    {**_CIFAR, "stem": "imagenet", "image_size": 32, "batch": 128, "precision": "fp32"},
    mib=1046,  # on an H200; of so small images cuDNN's workspaces are the most, and those are not known
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
        )
        for batch in (8, 32)
        for precision in ("fp32", "amp")
    }
)
"""ResNet-50 at 224 x 224, by batch and precision."""

CHECKPOINTING = MappingProxyType(
    {
        (model, precision, on): Run(
            f"{model} training 4 x 512, {precision}, checkpointing {'on' if on else 'off'}",
            {**_TEXT, "model": model, "batch": 4, "precision": precision, "checkpointing": on},
        )
        for model, precision, on in (
            *(("gpt2-small", "fp32", False), ("gpt2-small", "fp32", True), ("gpt2-small", "amp", False)),
            *(("gpt2-medium", "fp32", False), ("gpt2-medium", "fp32", True)),
            *(("gpt2-medium", "amp", False), ("gpt2-medium", "amp", True)),
        )
    }
)
"""GPT-2 trained with AdamW, by model, precision and whether activations are computed again instead of kept."""

ATTENTIONS = MappingProxyType(
    {
        kind: Run(
            f"gpt2-small prompt of 992 x 8, fp16, attention {kind}",
            {**_LONG_PROMPT, "precision": "fp16", "attention": kind},
        )
        for kind in ("plain", "chunked", "sdpa")
    }
)
"""Eight prompts of 992 tokens at once, by kind of attention."""

KV_HALF = Run(
    "gpt2-small fp16 32+992 x 8",
    {**_GPT, "model": "gpt2-small", "precision": "fp16", "batch": 8},
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
        )
        for precision in ("fp32", "amp", "fp16")
    ),
    *ATTENTIONS.values(),
    *(
        Run(
            f"resnet18 cifar whole epoch, batch 128, {precision}",
            {**_CIFAR, "batch": 128, "precision": precision, "full": True},
        )
        for precision in ("tf32", "fp32")
    ),
    Run("gpt2-small amp 32+992", {**_GPT, "model": "gpt2-small", "precision": "amp"}),
    Run("resnet18 inference, batch 1, fp32", {"run": "infer", "model": "resnet18"}),
    Run(
        "gpt2-small fp16 32+992, attention plain",
        {**_GPT, "model": "gpt2-small", "precision": "fp16", "attention": "plain"},
    ),
)
"""Further runs, made with ``--all``."""
