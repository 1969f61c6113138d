"""What becomes of a CNN's answer: what it is trained for, and what of it reaches the host."""

import pytest

pytestmark = pytest.mark.torch


@pytest.fixture
def spec():
    """Of a model."""
    from exporter.workload.spec import Spec

    return lambda model: Spec(run="infer", model=model)


def test_a_detector_hands_over_what_it_is_surest_of(torch, spec):
    """The time of a detector would include copying all its numbers, or leave out choosing among them."""
    from exporter.workload.answers import on_host

    raw = torch.full((2, 1000, 85), -5.0)
    raw[0, 700, 4] = raw[0, 700, 84] = raw[1, 3, 4] = raw[1, 3, 5] = 5.0
    raw[0, 500, 4] = 9.0  # something, but of no class
    found = on_host(spec("yolov5s"), raw)

    assert found.shape == (2, 300, 85)
    assert torch.equal(found[:, 0], torch.stack([raw[0, 700], raw[1, 3]]))


def test_each_voxel_gets_its_label(torch, spec):
    """The time of a segmentation would be that of another answer than the one that its user waits for."""
    from exporter.workload.answers import on_host

    raw = torch.zeros(1, 3, 2, 2, 2)
    raw[0, 2, 0, 1, 0] = raw[0, 1, 1, 1, 1] = 1.0
    found = on_host(spec("unet3d"), raw)

    assert found.shape == (1, 2, 2, 2)
    assert (found[0, 0, 1, 0], found[0, 1, 1, 1], found.sum()) == (2, 1, 3)


def test_the_stand_in_reaches_every_weight_of_the_detector(torch, on_cpu, spec):
    """Training memory would be measured without some of the gradients."""
    from exporter.workload import answers
    from exporter.workload.models import build

    model, _ = build(spec("yolov5s"), on_cpu)
    answered = model(torch.randn(2, 3, 64, 64))
    answers.loss(spec("yolov5s"), answered, torch.ones(answered.shape[:2])).backward()

    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_the_stand_in_is_smallest_where_the_answer_is_what_was_wanted(torch, spec):
    """A training would go the wrong way, and its loss be no sign of anything."""
    from exporter.workload.answers import loss

    wanted = torch.tensor([[1.0, 0.0] * 100])
    right = (wanted[..., None] * 20 - 10).expand(1, 200, 85)

    assert loss(spec("yolov5s"), right, wanted) < 1e-3
    assert loss(spec("yolov5s"), -right, wanted) > 1
