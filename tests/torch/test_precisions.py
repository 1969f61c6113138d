"""Half weights and mixed precision, tried on the CPU, where a spec does not get them: a card is rarely at hand."""

import dataclasses

import pytest

pytestmark = pytest.mark.torch

SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "steps": 2}


@pytest.fixture
def figures(torch):
    """Runs a spec in a precision, whatever the device; its figures and the model."""
    from exporter.workload.devices import Ground
    from exporter.workload.lines import Lines
    from exporter.workload.models import build
    from exporter.workload.runs import RUNS
    from exporter.workload.spec import Spec

    def measured(precision, **asked):
        ground, spec = Ground(torch.device("cpu"), precision), Spec(**asked, **SHORT, precision=precision)
        torch.manual_seed(1)
        model, found = build(dataclasses.replace(spec, precision="fp32"), ground)
        return {**found, **RUNS[spec.run](model, spec, ground, Lines(bytearray().extend, lambda _: None))}, model

    return measured


def test_half_weights_take_half(torch, figures):
    """A user would be shown the speed of half precision with the memory of whole, or neither."""
    asked = {"run": "generate", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 8}
    whole, _ = figures("fp32", **asked)
    half, model = figures("fp16", **asked)

    assert half["weights_bytes"] * 2 == whole["weights_bytes"]
    assert half["kv_cache_bytes"] * 2 == whole["kv_cache_bytes"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


@pytest.mark.parametrize("attention", ["sdpa", "plain", "chunked"])
def test_mixed_precision_keeps_whole_weights_and_half_a_cache(torch, figures, attention):
    """A figure of mixed precision would be one of something else."""
    asked = {"run": "generate", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 8, "attention": attention}
    whole, _ = figures("fp32", **asked)
    mixed, model = figures("amp", **asked)

    assert mixed["weights_bytes"] == whole["weights_bytes"]
    assert mixed["kv_cache_bytes"] * 2 == whole["kv_cache_bytes"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["fp16", "amp"])
@pytest.mark.parametrize("model", ["resnet18", "efficientnet-b0", "yolov5s", "unet3d"])
def test_a_cnn_answers_in_half_and_mixed_precision(figures, model, precision):
    """A card's fastest arithmetic would have no figure."""
    found, _ = figures(precision, run="infer", model=model, image_size=32, volume=8, batch=2)

    assert found["volumes_per_second" if model == "unet3d" else "images_per_second"] > 0


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "resnet18", "stem": "imagenet", "image_size": 32, "batch": 2},
        {"model": "yolov5s", "image_size": 64, "batch": 2},
        {"model": "gpt2-tiny", "sequence": 16},
        {"model": "gpt2-tiny", "sequence": 16, "checkpointing": True},
    ],
    ids=str,
)
def test_training_in_mixed_precision_keeps_whole_gradients(torch, figures, asked):
    """A figure of mixed precision would be one of a training that cannot work."""
    found, model = figures("amp", run="train", **asked)

    assert found["steps"] == 2
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["tf32", "fp32"])
def test_tf32_is_on_only_in_a_run_of_that_name(torch, precision):
    """A figure of whole precision would be that of a card's faster, rougher arithmetic."""
    from exporter.workload.devices import ground
    from exporter.workload.spec import Spec

    before = torch.get_float32_matmul_precision()
    ground(Spec(run="train", model="resnet18", precision=precision))
    cudnn = torch.backends.cudnn
    # The older switches, too: torch's own exporter asks them, and refuses to go on when they say something else.
    found = (torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.conv.fp32_precision)
    torch.set_float32_matmul_precision(before)

    assert found == ((True, True, "tf32") if precision == "tf32" else (False, False, "ieee"))
