"""The 3D U-Net, EfficientNet-B0 and YOLOv5s: published sizes and shapes, and the numbers of the published formulas."""

import pytest

pytestmark = pytest.mark.torch

PUBLISHED = {
    # parameters, how many of them are not the norms', the shape of an input and of its answer
    "unet3d": (19_074_627, 19_069_955, (3, 64, 64, 64), (3, 64, 64, 64)),
    "efficientnet-b0": (5_288_548, 5_246_532, (3, 224, 224), (1000,)),
    "yolov5s": (7_235_389, 7_216_381, (3, 640, 640), (25_200, 85)),
}
SMALL = {"unet3d": (3, 8, 16, 8), "efficientnet-b0": (3, 64, 96), "yolov5s": (3, 64, 96)}


def described(name):
    from exporter.workload.efficientnet import EfficientNetB0
    from exporter.workload.unet3d import UNet3D
    from exporter.workload.yolov5 import YoloV5s

    return {"unet3d": UNet3D, "efficientnet-b0": lambda: EfficientNetB0(1000), "yolov5s": YoloV5s}[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_are_the_published_ones(torch, name):
    """A user would compare a card with published figures of another model."""
    with torch.device("meta"):
        model = described(name)()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    count, of_norms = (
        sum(parameter.numel() for module in modules for parameter in module.parameters())
        for modules in ([model], norms)
    )

    assert (count, count - of_norms) == PUBLISHED[name][:2]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shapes_are_the_published_ones(torch, name):
    """A run would time another input than the one that the figures to compare with are about."""
    _, _, given, expected = PUBLISHED[name]
    with torch.device("meta"):
        assert described(name)().eval()(torch.empty(2, *given)).shape == (2, *expected)


@pytest.mark.parametrize(("name", "least", "most"), [("efficientnet-b0", 0.76e9, 0.80e9), ("yolov5s", 16.3e9, 16.7e9)])
def test_the_arithmetic_is_as_much_as_was_published(torch, name, least, most):
    """A model with the right weights, used too seldom or too often, would be timed."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counted:
        described(name)().eval()(torch.empty(1, *PUBLISHED[name][2]))

    assert least < counted.get_total_flops() < most


@pytest.mark.parametrize("name", SMALL)
def test_the_answer_is_that_of_the_formulas(torch, on_cpu, name):
    """What is timed would be another model than the one that is named."""
    from exporter.workload.weights import on_device
    from tests.torch import naive_cnns

    model = on_device(described(name), on_cpu).double().eval()
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            value.normal_(0.0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2.0)
    formula = {
        "unet3d": naive_cnns.unet3d,
        "efficientnet-b0": naive_cnns.efficientnet,
        "yolov5s": naive_cnns.yolov5s,
    }[name]
    given = torch.randn(2, *SMALL[name], dtype=torch.float64)
    with torch.no_grad():
        found = model(given)
        expected = torch.stack([formula(model.state_dict(), each) for each in given])

    assert found.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", SMALL)
def test_an_answer_is_about_its_own_image(torch, on_cpu, name):
    """Images of a batch would be mixed, and a batch of 32 would be no 32 answers."""
    from exporter.workload.weights import on_device

    model = on_device(described(name), on_cpu).eval()
    given = torch.randn(2, *SMALL[name])
    with torch.no_grad():
        both, first = model(given), model(given[:1])

    torch.testing.assert_close(both[:1], first, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(both[0], both[1])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.filterwarnings("ignore")
def test_numbers_stay_within_what_half_precision_can_say(torch, on_cpu, name):
    """A figure of half precision would be one of a model that computes with zeros or infinities."""
    from exporter.workload.weights import on_device

    model = on_device(described(name), on_cpu).eval()
    seen = []
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, found: seen.append(found.abs().max().item()))
    with torch.no_grad():
        model(torch.randn(1, *SMALL[name]))

    assert min(seen) > 1e-6
    assert max(seen) < 1e4
