"""GPT-2 and what is built like it: the published sizes, and the same numbers by whatever way they are computed."""

import dataclasses
import importlib.util

import pytest

pytestmark = pytest.mark.torch

PUBLISHED = {
    "gpt2-small": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "dialogpt-small": 124_439_808,
    "dialogpt-medium": 354_823_168,
    "biogpt": 346_763_264,
}


@pytest.fixture
def tiny(on_cpu):
    """Makes a tiny GPT-2 in double precision, with weights so large that attention is not the same everywhere."""
    from exporter.workload.gpt2 import GPT2, SIZES
    from exporter.workload.weights import on_device

    def make(of_size=None, **options):
        model = on_device(lambda: GPT2(of_size or SIZES["gpt2-tiny"], **options), on_cpu).double().eval()
        for parameter in model.parameters():
            parameter.data.add_(0.2 * parameter.new_empty(parameter.shape).normal_())
        return model

    return make


@pytest.fixture
def text(torch):
    """Two texts of 40 tokens."""
    return torch.randint(512, (2, 40), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_are_the_published_ones(torch, name):
    """A user would compare a card with published figures of another model."""
    from exporter.workload.gpt2 import GPT2, SIZES

    with torch.device("meta"):
        model = GPT2(SIZES[name])

    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]


def test_logits_are_those_of_the_formulas(torch, tiny, text):
    """What is timed would not be GPT-2."""
    from tests.torch import naive

    model = tiny()
    with torch.no_grad():
        found = model(text)
        expected = torch.stack([naive.gpt2(model.state_dict(), model.size, tokens) for tokens in text])

    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.fixture
def biogpt(tiny):
    """A BioGPT of two narrow layers."""
    from exporter.workload.gpt2 import SIZES

    return tiny(dataclasses.replace(SIZES["biogpt"], layers=2, width=64, heads=4, vocabulary=512))


def test_biogpt_is_that_of_its_paper(torch, biogpt, text):
    """What is timed under BioGPT's name would be GPT-2 medium with fewer words."""
    from tests.torch import naive

    with torch.no_grad():
        found = biogpt(text)
        expected = torch.stack([naive.biogpt(biogpt.state_dict(), biogpt.size, tokens) for tokens in text])
        otherwise = torch.stack([naive.gpt2(biogpt.state_dict(), biogpt.size, tokens) for tokens in text])

    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found, otherwise, rtol=1e-2)


def test_biogpt_reads_as_many_positions_as_gpt2(torch, on_cpu, biogpt):
    """The last words of a long answer would end in an error, which on a card ends the process."""
    from exporter.workload.gpt2 import Cache

    text = torch.randint(512, (1, 1024), generator=torch.Generator().manual_seed(3))
    cache = Cache(biogpt.size, 1, 1024, on_cpu.device, torch.float64)
    with torch.no_grad():
        read = [biogpt(some, cache, last_only=True) for some in text.split([1000, *[1] * 24], dim=1)]

        torch.testing.assert_close(read[-1], biogpt(text, last_only=True), rtol=1e-9, atol=1e-9)


def from_transformers(model):
    """The same weights in Hugging Face's GPT-2."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = model.size
    config = GPT2Config(
        vocab_size=size.vocabulary,
        n_positions=size.positions,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
    )
    theirs = GPT2LMHeadModel(config).double().eval()
    names = {"tokens": "wte", "positions": "wpe", "norm": "ln_f"}
    layers = {"norm_1": "ln_1", "query_key_value": "attn.c_attn", "out": "attn.c_proj"}
    layers |= {"norm_2": "ln_2", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    own = {}
    for key, value in model.state_dict().items():
        parts = key.split(".")
        kind = parts[-1]
        if parts[0] == "blocks":
            transposed = kind == "weight" and "norm" not in parts[2]
            own[f"transformer.h.{parts[1]}.{layers[parts[2]]}.{kind}"] = value.T if transposed else value
        elif parts[0] in names:
            own[f"transformer.{names[parts[0]]}.{kind}"] = value
    theirs.load_state_dict(own, strict=False)
    return theirs


if importlib.util.find_spec("transformers"):

    @pytest.mark.filterwarnings("ignore")
    def test_logits_are_those_of_transformers(torch, tiny, text):
        """A user who knows the figures of Hugging Face's GPT-2 would find another model here."""
        model = tiny()
        with torch.no_grad():
            torch.testing.assert_close(model(text), from_transformers(model)(text).logits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attention", ["sdpa", "plain", "chunked"])
@pytest.mark.parametrize("steps", [[40], [1] * 40, [32, *[1] * 8], [10, 7, 20, 3]], ids=str)
def test_a_text_read_with_the_cache_is_the_text_read_at_once(torch, on_cpu, tiny, text, attention, steps):
    """The time per token would be that of a model that forgets what it has read."""
    from exporter.workload.gpt2 import Cache

    model = tiny(attention=attention, chunk=6)
    cache = Cache(model.size, 2, 40, on_cpu.device, torch.float64)
    with torch.no_grad():
        read = [model(some, cache) for some in text.split(steps, dim=1)]

        torch.testing.assert_close(torch.cat(read, dim=1), model(text), rtol=1e-9, atol=1e-9)


def test_only_the_last_position_is_computed_where_only_that_is_wanted(torch, tiny, text):
    """The first token would be chosen from another position's logits."""
    model = tiny()
    with torch.no_grad():
        torch.testing.assert_close(model(text, last_only=True), model(text)[:, -1:])


@pytest.mark.parametrize("chunk", [1, 7, 39, 40, 1000])
def test_attention_in_chunks_is_attention(torch, tiny, text, chunk):
    """The memory that chunks save would be saved on a wrong result."""
    plain, chunked = tiny(attention="plain"), tiny(attention="chunked", chunk=chunk)
    chunked.load_state_dict(plain.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(chunked(text), plain(text), rtol=1e-9, atol=1e-9)


def test_checkpointing_gives_the_same_gradients(torch, tiny, text):
    """The memory that checkpointing saves would be saved on another training."""
    without, with_it = tiny(), tiny(checkpointing=True)
    with_it.load_state_dict(without.state_dict())
    for model in (without, with_it):
        torch.nn.functional.cross_entropy(model(text).flatten(0, 1), text.flatten()).backward()

    for mine, theirs in zip(with_it.parameters(), without.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_checkpointing_computes_a_block_twice(torch, tiny, text):
    """A table would show checkpointing's cost for a switch that does nothing."""
    model = tiny(checkpointing=True)
    calls = []
    model.blocks[0].up.register_forward_hook(lambda *_: calls.append(1))
    model(text).sum().backward()

    assert len(calls) == 2


def test_the_cache_holds_what_the_field_says(torch, on_cpu):
    """A user would be told another need of memory than there is."""
    from exporter.workload.gpt2 import SIZES, Cache

    cache = Cache(SIZES["gpt2-small"], 1, 1024, on_cpu.device, torch.float16)

    assert cache.tensor.numel() * cache.tensor.element_size() == 36 * 2**20
