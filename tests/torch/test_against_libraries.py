"""Our models beside well-known libraries' own, weight for weight; only what is installed is compared."""

import importlib.util

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def same_weights(torch, ours, theirs):
    """Give ``theirs`` the weights of ``ours``, which come in the same order and shapes; both ready to be compared."""
    ours, theirs = ours.double().eval(), theirs.double().eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for key, value in ours.state_dict().items():
            if value.is_floating_point():
                # Drawn as a trained model's: an untrained norm would hide what it is fed.
                value.uniform_(0.5, 1.5) if key.endswith("running_var") or value.ndim == 1 else value.mul_(1.5)
        own, other = ours.state_dict(), theirs.state_dict()
        assert [value.shape for value in own.values()] == [value.shape for value in other.values()]
        theirs.load_state_dict(dict(zip(other, own.values(), strict=True)))
    return ours, theirs


if importlib.util.find_spec("torchvision"):

    @pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
    def test_a_resnet_answers_as_torchvisions(torch, on_cpu, name):
        """A user who knows the figures of torchvision's ResNet would find another model here."""
        from torchvision import models

        from exporter.workload.resnet import ResNet
        from exporter.workload.weights import on_device

        ours, theirs = same_weights(
            torch, on_device(lambda: ResNet(name, "imagenet", 1000), on_cpu), models.get_model(name)
        )
        images = torch.randn(2, 3, 96, 96, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(ours(images), theirs(images), rtol=1e-8, atol=1e-8)

    def test_an_efficientnet_answers_as_torchvisions(torch, on_cpu):
        """A user who knows the figures of torchvision's EfficientNet-B0 would find another model here."""
        from torchvision import models

        from exporter.workload.efficientnet import EfficientNetB0
        from exporter.workload.weights import on_device

        ours, theirs = same_weights(torch, on_device(lambda: EfficientNetB0(1000), on_cpu), models.efficientnet_b0())
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1e-3  # as the paper's authors have it; torchvision has it for its larger ones only
        images = torch.randn(2, 3, 96, 96, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(ours(images), theirs(images), rtol=1e-8, atol=1e-8)


def biogpt_of_transformers(torch, ours):
    """The same weights in Hugging Face's BioGPT."""
    from transformers import BioGptConfig, BioGptForCausalLM

    size = ours.size
    config = BioGptConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=size.positions,
    )
    theirs = BioGptForCausalLM(config).double().eval()
    own = {}
    layers = {"norm_1": "self_attn_layer_norm", "out": "self_attn.out_proj", "norm_2": "final_layer_norm"}
    layers |= {"up": "fc1", "down": "fc2"}
    names = {"tokens": "embed_tokens", "positions": "embed_positions", "norm": "layer_norm"}
    for key, value in ours.state_dict().items():
        parts = key.split(".")
        if parts[0] == "blocks" and parts[2] == "query_key_value":
            for name, part in zip("qkv", value.chunk(3), strict=True):
                own[f"biogpt.layers.{parts[1]}.self_attn.{name}_proj.{parts[3]}"] = part
        elif parts[0] == "blocks":
            own[f"biogpt.layers.{parts[1]}.{layers[parts[2]]}.{parts[3]}"] = value
        elif parts[0] in names:
            own[f"biogpt.{names[parts[0]]}.{parts[1]}"] = value
    own["output_projection.weight"] = own["biogpt.embed_tokens.weight"]
    theirs.load_state_dict(own)
    return theirs


if importlib.util.find_spec("transformers"):

    def test_a_biogpt_says_what_transformers_says(torch, on_cpu):
        """A user who knows the figures of Hugging Face's BioGPT would find another model here."""
        from dataclasses import replace

        from exporter.workload.gpt2 import GPT2, SIZES
        from exporter.workload.weights import on_device

        size = replace(SIZES["biogpt"], layers=2, width=64, heads=4, vocabulary=300)
        ours = on_device(lambda: GPT2(size), on_cpu).double().eval()
        with torch.no_grad():
            for value in ours.parameters():
                value.normal_(0.0, 0.2)
        text = torch.randint(300, (2, 24))
        with torch.no_grad():
            torch.testing.assert_close(
                ours(text), biogpt_of_transformers(torch, ours)(text).logits, rtol=1e-9, atol=1e-9
            )
