"""The torch workload's runs, in this process: what they find and what they leave out."""

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "steps": 2}
GPT = {"run": "generate", "model": "gpt2-tiny", "prompt": 8, "new_tokens": 40, **SHORT}
SMALL = {"image_size": 64, "volume": 16, "batch": 2}
INFERENCE = {"run": "infer", "model": "resnet18", "stem": "cifar", "batch": 2, **SHORT}
TRAINING = {"run": "train", "model": "resnet18", "stem": "cifar", "batch": 2, **SHORT}


@pytest.fixture
def done(torch):
    """Does what a spec asks; the outcome and the figures."""
    from exporter.workload.lines import Lines
    from exporter.workload.runs import run
    from exporter.workload.spec import Spec

    before = torch.backends.cudnn.conv.fp32_precision
    yield lambda asked: run(Spec(**asked), Lines(bytearray().extend, lambda _: None))
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = before


def test_a_spent_budget_cuts_the_answer_and_says_so(done):
    """A slow machine's probe would run into its time-out and have no figure at all."""
    figures = done({**GPT, "new_tokens": 1000, "budget_seconds": 1e-9})["figures"]

    assert (figures["answer_complete"], figures["answer_p50_seconds"]) == (False, None)
    assert 2 <= figures["tokens"] < 1000
    assert figures["per_token_seconds"] > 0
    assert (figures["first_token_warmup_iterations"], figures["first_token_iterations"]) == (0, 1)


def test_a_spent_budget_leaves_a_training_one_step(done):
    """A slow machine's probe would spend a minute warming up and be killed before its first figure."""
    figures = done({**TRAINING, "warmup_seconds": 60.0, "budget_seconds": 1e-9})["figures"]

    assert (figures["warmup_iterations"], figures["steps"]) == (0, 1)


@pytest.mark.parametrize("asked", [GPT, INFERENCE, TRAINING], ids=["generate", "infer", "train"])
def test_every_result_says_how_long_it_had_the_device(asked, done):
    """A probe's share of a card's time could not be kept."""
    figures = done(asked)["figures"]

    assert figures["device_seconds"] > figures["build_seconds"]
    assert figures["threads"] == 1


@pytest.mark.parametrize(
    ("asked", "rate"),
    [(GPT, "tokens_per_second"), (INFERENCE, "images_per_second"), (TRAINING, "images_per_second")],
    ids=["generate", "infer", "train"],
)
def test_a_run_for_a_time_goes_on_past_its_number(asked, rate, done):
    """What two runs take from each other would be measured while only one of them ran."""
    by_number = done(asked)["figures"]
    figures = done({**asked, "run_seconds": 0.5, "steps": 1, "iterations": 1})["figures"]

    assert figures[rate] > 0
    if "answers" in figures:
        assert by_number["answers"] == 1 < figures["answers"]
        assert figures["tokens"] > 40
        assert 0 < figures["answer_p50_seconds"] < 0.5
    else:
        assert figures.get("steps", figures.get("batch_iterations")) >= 2


def test_a_run_that_breaks_off_tells_how_far_it_came(done):
    """A user would not learn how much of a model that does not fit did fit, nor what the attempt cost."""
    found = done({**GPT, "batch": 10**12})

    assert found["outcome"] == "oom"
    assert found["figures"]["phase"] == "first token"
    assert found["figures"]["weights_bytes"] == 4 * 198_400
    assert found["figures"]["process_resident_peak_bytes"] > 4 * 198_400
    assert found["figures"]["device_seconds"] > 0


def test_a_refused_run_had_the_device_for_a_moment_only(done):
    """A probe's share of a card's time would have a hole wherever a run is refused."""
    found = done({**TRAINING, "data": "/nowhere"})

    assert found["outcome"] == "refused"
    assert 0 < found["figures"]["device_seconds"] < 60


def test_the_whole_epoch_of_a_folder_is_trained(tmp_path, done):
    """A user's own images would be ignored, or an epoch's end with its smaller batch would be an error."""
    images = b"".join(bytes([number % 10]) + bytes([number * 40]) * 3072 for number in range(5))
    (tmp_path / "data_batch_1.bin").write_bytes(images)
    figures = done({**TRAINING, "data": str(tmp_path), "full": True})["figures"]

    assert figures["steps"] == 3
    assert figures["epoch_images"] == 5
    assert figures["epoch_extrapolated"] is False
    assert figures["epoch_seconds"] == pytest.approx(figures["step_seconds"] * 3)
    assert figures["data"] == "cifar10"


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_gpt_is_trained(checkpointing, done):
    """What checkpointing costs and saves would have no figure."""
    found = done({**GPT, "run": "train", "sequence": 16, "checkpointing": checkpointing, "steps": 20})
    figures = found["figures"]

    assert found["outcome"] == "ok"
    assert figures["loss_last"] < figures["loss_first"]
    assert figures["tokens_per_second"] > 0
    assert figures["optimizer_bytes"] > 2 * figures["gradients_bytes"]


@pytest.mark.parametrize(
    ("model", "per_second"),
    [("efficientnet-b0", "images_per_second"), ("yolov5s", "images_per_second"), ("unet3d", "volumes_per_second")],
)
def test_each_cnn_answers_and_learns(done, model, per_second):
    """A scenario of the guide would have no figure, or one of a training that does not train."""
    answered = done({**INFERENCE, **SMALL, "model": model})
    trained = done({**TRAINING, **SMALL, "model": model, "steps": 8})

    assert (answered["outcome"], trained["outcome"]) == ("ok", "ok"), (answered, trained)
    assert answered["figures"][per_second] > 0
    assert answered["figures"]["batch_p50_seconds"] > 0
    assert trained["figures"][per_second] == pytest.approx(2 / trained["figures"]["step_seconds"])
    assert trained["figures"]["loss_last"] < trained["figures"]["loss_first"]


def test_only_a_classifier_has_an_epoch(done):
    """A detector's training would be told as an epoch of images that it was never shown."""
    figures = {
        model: done({**TRAINING, **SMALL, "model": model})["figures"] for model in ("efficientnet-b0", "yolov5s")
    }

    assert figures["efficientnet-b0"]["epoch_images"] == 1_281_167
    assert "epoch_images" not in figures["yolov5s"]


@pytest.mark.parametrize("base", [GPT, INFERENCE], ids=["gpt", "cnn"])
def test_the_same_model_in_int8(base, done):
    """What quantization saves would have no figure."""
    found = done({**base, "precision": "int8_dynamic"})

    assert found["outcome"] == "ok", found.get("detail")
    assert found["figures"]["weights_bytes"] < found["figures"]["weights_before_bytes"]


def test_the_same_seed_writes_the_same_text(done):
    """Two runs of one spec could not be compared."""
    # With the few weights' usual scale, every text is the same token over and over; a prompt alone does differ.
    same = [done({**GPT, "prompt": 1000, "new_tokens": 1, "seed": seed})["figures"]["checksum"] for seed in (1, 1, 2)]

    assert same[0] == same[1] != same[2]


def test_the_same_seed_trains_the_same_model(done):
    """Two runs of one spec could not be compared."""
    training = {**GPT, "run": "train", "sequence": 16}
    losses = [done({**training, "seed": seed})["figures"]["loss_last"] for seed in (1, 1, 2)]

    assert losses[0] == losses[1] != losses[2]
