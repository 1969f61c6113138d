"""The ResNets: published sizes, and the numbers of the papers' formulas."""

import pytest

pytestmark = pytest.mark.torch

PUBLISHED = {
    ("resnet18", "imagenet"): 11_689_512,
    ("resnet34", "imagenet"): 21_797_672,
    ("resnet50", "imagenet"): 25_557_032,
    ("resnet18", "cifar"): 11_173_962,
}
CLASSES = {"imagenet": 1000, "cifar": 10}


@pytest.mark.parametrize(("name", "stem"), PUBLISHED)
def test_the_sizes_are_the_published_ones(torch, name, stem):
    """A user would compare a card with published figures of another model."""
    from exporter.workload.resnet import ResNet

    with torch.device("meta"):
        model = ResNet(name, stem, CLASSES[stem])

    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name, stem]


@pytest.mark.parametrize(
    ("name", "stem", "side"),
    [("resnet18", "cifar", 16), ("resnet18", "imagenet", 64), ("resnet50", "imagenet", 64), ("resnet50", "cifar", 16)],
)
def test_the_answer_is_that_of_the_formulas(torch, on_cpu, name, stem, side):
    """What is timed would not be a ResNet."""
    from exporter.workload.resnet import DEPTHS, ResNet
    from exporter.workload.weights import on_device
    from tests.torch import naive

    model = on_device(lambda: ResNet(name, stem, CLASSES[stem]), on_cpu).double().eval()
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", ".1.bias")):
            value.normal_(0.0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2.0)
    images = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        found = model(images)
        expected = torch.stack([naive.resnet(model.state_dict(), DEPTHS[name], stem, image) for image in images])

    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
