"""Weights made on the device: each once, with sound values, the same for the same seed."""

import pytest

pytestmark = pytest.mark.torch


def built(torch, on_cpu, name="gpt2-tiny", seed=1, precision="fp32"):
    from exporter.workload.models import build
    from exporter.workload.spec import Spec

    torch.manual_seed(seed)
    return build(Spec(run="train", model=name, stem="cifar", precision=precision), on_cpu)


def test_a_shared_weight_takes_memory_once(torch, on_cpu):
    """GPT-2 small would seem to need a third more memory than it does."""
    model, figures = built(torch, on_cpu)

    assert model.head.weight is model.tokens.weight
    assert figures["weights_bytes"] == 4 * figures["parameters"] == 4 * 198_400


def test_the_same_seed_makes_the_same_weights(torch, on_cpu):
    """Two runs of the same probe could not be compared."""
    (one, _), (same, _), (other, _) = (built(torch, on_cpu, seed=seed) for seed in (1, 1, 2))

    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("name", ["gpt2-tiny", "resnet18", "efficientnet-b0", "yolov5s", "unet3d"])
def test_every_value_is_a_sound_number(torch, on_cpu, name):
    """What was left in the memory before would be taken for a weight, and arithmetic on it can take longer."""
    model, _ = built(torch, on_cpu, name)

    assert all(value.isfinite().all() and value.abs().max() < 10 for value in model.state_dict().values())


@pytest.mark.filterwarnings("ignore")
def test_quantized_linear_layers_take_a_quarter(torch, on_cpu):
    """A user would be promised what only some of the model keeps: the embeddings stay as they are."""
    model, figures = built(torch, on_cpu, precision="int8_dynamic")
    embeddings = 4 * (512 + 1024) * 64
    linear = figures["weights_before_bytes"] - embeddings

    assert figures["quantized_layers"] == 2 * 4 + 1
    assert type(model.tokens) is torch.nn.Embedding
    assert figures["weights_bytes"] - embeddings < 0.35 * (linear + 4 * 512 * 64)
    assert figures["linear_weights_before_bytes"] == 4 * (2 * 12 * 64 * 64 + 512 * 64)
    assert figures["linear_weights_bytes"] * 4 == figures["linear_weights_before_bytes"]
