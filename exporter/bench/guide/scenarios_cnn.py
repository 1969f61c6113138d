"""What the guide claims of CNNs in its scenarios, and of ONNX Runtime."""

from exporter.bench.claim import GB, MIB, Claim, Figures, Reference, Results, Run, held_bytes, in_words, tensors_bytes

_SMALL_VOLUME = {"model": "unet3d", "volume": 16, "batch": 2}
_SMALL_IMAGE = {"model": "efficientnet-b0", "image_size": 32, "batch": 2}
_SMALL_SCENE = {"model": "yolov5s", "image_size": 64, "batch": 2}


def _unet3d(volume: int, precision: str) -> Run:
    asked = {"run": "train", "model": "unet3d", "batch": 4, "volume": volume, "precision": precision, "steps": 12}
    return Run(f"unet3d training, batch 4, {volume} voxels a side, {precision}", asked, tiny=_SMALL_VOLUME)


def _efficientnet(batch: int, precision: str) -> Run:
    asked = {"run": "infer", "model": "efficientnet-b0", "batch": batch, "precision": precision}
    name = f"efficientnet-b0 inference, batch {batch}, on the CPU"
    slow = Run(name, {**asked, "budget_seconds": 6.0}, where="cpu", tiny=_SMALL_IMAGE)
    on_cpu = slow if precision == "fp32" else None
    return Run(f"efficientnet-b0 inference, batch {batch}, {precision}", asked, on_cpu=on_cpu, tiny=_SMALL_IMAGE)


def _yolov5s(run: str, batch: int, precision: str) -> Run:
    asked = {"run": run, "model": "yolov5s", "batch": batch, "precision": precision}
    word = "training" if run == "train" else "inference"
    return Run(f"yolov5s {word}, batch {batch}, {precision}", asked, tiny=_SMALL_SCENE)


def _compared(model: str, where: str, mib: int) -> Run:
    """``mib`` are a guess: no card has been asked, and what ONNX Runtime takes beside torch is not reckoned."""
    asked = {"run": "onnx", "model": model, "batch": 1}
    if where == "cpu":
        return Run(f"{model} by torch and ONNX Runtime, on the CPU", {**asked, "budget_seconds": 10.0}, where="cpu")
    return Run(f"{model} by torch and ONNX Runtime", asked, mib)


def _iterations(figures: Figures) -> float:
    return 1 / figures["step_seconds"]


def _unet3d_words(found: Results) -> str:
    others = [f"{key} {_iterations(figures):.2f} it/s" for key, figures in found.items() if key != "fp32"]
    return ", ".join([f"{in_words(found['fp32']['step_seconds'])} a step", *others])


def _images_words(found: Results) -> str:
    return ", ".join(f"{key}: {figures['images_per_second']:.0f} images/s" for key, figures in found.items())


def _memory_words(found: Results) -> str:
    return ", ".join(f"{key}: tensors {tensors_bytes(figures) / MIB:.0f} MiB" for key, figures in found.items())


def _compared_words(found: Results) -> str:
    return ", ".join(
        f"{key} {in_words(figures['torch_p50_seconds'])} -> {in_words(figures['onnxruntime_p50_seconds'])}"
        f" ({figures['onnxruntime_provider']} of {figures['onnxruntime_version']})"
        for key, figures in found.items()
    )


def _onnxruntime(where: str, mib: int, how: str, note: str) -> Claim:
    return Claim(
        id=f"onnxruntime-{where}",
        says=f"ONNX Runtime is 1.8 times as fast as torch (on the {where.upper() if where == 'cpu' else where})",
        reference=Reference("1.8 x", 1.8, "at least"),
        unit="times",
        runs={"resnet50": _compared("resnet50", where, mib)},
        besides={"gpt2-small": _compared("gpt2-small", where, 2 * mib)},
        value=lambda found: found["resnet50"]["onnxruntime_speedup_ratio"],
        detail=_compared_words,
        how=f"median of ResNet-50 at batch 1 in fp32, from the host's memory and back, {how}",
        note=f"Undefined without model, batch, precision and device. {note}",
        of_a_card=where == "card",
    )


CNN_SCENARIOS = (
    Claim(
        id="unet3d-training",
        says="A 3D U-Net trains at 1.2 iterations/s with batch 4 (64 x 64 x 64 voxels)",
        reference=Reference("1.2 it/s", 1.2, "at least"),
        unit="per second",
        card="RTX 3060",
        runs={"fp32": _unet3d(64, "fp32")},
        besides={"amp": _unet3d(64, "amp"), "96 voxels a side": _unet3d(96, "fp32")},
        value=lambda found: _iterations(found["fp32"]),
        detail=_unet3d_words,
        how="12 training steps of 4 random volumes in fp32 with SGD; the published network, padded",
        note="Undefined without the volume's size, on which it depends more than on the card: 128 a side is eight "
        "times the work of 64. 64 is taken, the largest multiple of 32 that fits into 12 GB; a step is 5.9 TFLOP.",
    ),
    Claim(
        id="efficientnet-b0-inference",
        says="EfficientNet-B0 classifies 45 images/s",
        reference=Reference("45 images/s", 45, "at least"),
        unit="per second",
        card="GTX 1660 SUPER",
        runs={"batch 1": _efficientnet(1, "fp32")},
        besides={"batch 32": _efficientnet(32, "fp32"), "batch 32 in fp16": _efficientnet(32, "fp16")},
        value=lambda found: found["batch 1"]["images_per_second"],
        detail=_images_words,
        how="one image of 224 x 224 after the other in fp32, on the card already; the class on the host",
        note="Undefined without batch and precision. 45 images/s are 35 GFLOP/s, a hundredth of that card's: one "
        "at a time, starting the kernels is the limit. At 32 fp16 can be slower than fp32: cuDNN's kernels for it want "
        "another layout, and turning it around starts more of them. Decoding JPEG files is not measured.",
    ),
    Claim(
        id="yolov5s-memory",
        says="A detector of YOLOv5s's shape needs 10 GB",
        reference=Reference("10 GB", 10 * GB, "about"),
        unit="bytes",
        runs={"training": _yolov5s("train", 16, "fp32")},
        besides={
            "training in amp": _yolov5s("train", 16, "amp"),
            "inference": _yolov5s("infer", 1, "fp32"),
            "inference of 16": _yolov5s("infer", 16, "fp32"),
        },
        value=lambda found: held_bytes(found["training"]),
        detail=_memory_words,
        how="memory of the process in training at batch 16, 640 x 640, fp32, SGD; met within a quarter more or less",
        note="Undefined: training or not, batch, size, precision. At this one the backward pass keeps 4.9 GB. The "
        "loss is a stand-in on the raw outputs, without the tensors that matching real boxes would take.",
    ),
    _onnxruntime("card", 2000, "by the CUDA provider", "On a card it tries all of cuDNN's kernels, torch does not."),
    _onnxruntime("cpu", 0, "with as many threads", "Both on the processor."),
)
