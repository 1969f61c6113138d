"""The same model by torch and by ONNX Runtime: measured where ONNX Runtime is, refused by name where it is not."""

import importlib.util

import pytest

from tests.torch.child import run

pytestmark = pytest.mark.torch

SHORT = {"iterations": 3, "warmup_iterations": 1, "warmup_seconds": 0.0, "threads": 1}
CNN = {"run": "onnx", "model": "resnet18", "stem": "cifar", "batch": 2, **SHORT}
GPT = {"run": "onnx", "model": "gpt2-tiny", "prompt": 8, **SHORT}
NEEDED = ("onnx", "onnxscript", "onnxruntime")

ABSENT = "import sys\nsys.modules['onnxruntime'] = None\n"
BROKEN = "raise ImportError('libcublasLt.so.12: cannot open shared object file')\n"
OF_ANOTHER_DEVICE = "__version__ = '1.0'\ndef get_available_providers(): return ['OtherExecutionProvider']\n"


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"sitecustomize.py": ABSENT, "onnx.py": "", "onnxscript.py": ""}, "this Python lacks onnxruntime;"),
        ({"onnx.py": "", "onnxscript.py": "", "onnxruntime.py": BROKEN}, "libcublasLt.so.12"),
        (
            {"onnx.py": "", "onnxscript.py": "", "onnxruntime.py": OF_ANOTHER_DEVICE},
            "onnxruntime 1.0 offers OtherExecutionProvider and no CPUExecutionProvider",
        ),
    ],
    ids=["absent", "broken", "for another device"],
)
def test_what_onnx_runtime_cannot_do_here_is_refused_by_name(tmp_path, files, detail):
    """A user would get a traceback, or a comparison of his card with ONNX Runtime on his CPU."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = run(CNN, environ={"PYTHONPATH": str(tmp_path)})

    assert (found["outcome"], found["reason"]) == ("refused", "no_onnxruntime")
    assert detail in found["detail"]


if all(importlib.util.find_spec(name) for name in NEEDED):

    @pytest.mark.parametrize("spec", [CNN, GPT], ids=["cnn", "gpt"])
    def test_both_give_the_same_answer_and_a_time(spec):
        """A speed-up would be told of a model that answers something else, or of one that was not run."""
        found = run(spec)
        figures = found["figures"]

        assert found["outcome"] == "ok", found["detail"]
        assert figures["onnxruntime_provider"] == "CPUExecutionProvider"
        assert figures["onnxruntime_difference_ratio"] < 1e-4
        assert figures["onnxruntime_speedup_ratio"] == pytest.approx(
            figures["torch_p50_seconds"] / figures["onnxruntime_p50_seconds"]
        )
        assert figures["onnxruntime_iterations"] == figures["torch_iterations"] == 3
        assert figures["export_seconds"] > 0

    def test_a_model_too_large_for_one_document_is_refused_by_name():
        """A user would wait for an export of gigabytes that fails at its end."""
        found = run({**GPT, "model": "gpt2-large"})

        assert (found["outcome"], found["reason"]) == ("refused", "no_onnxruntime")
        assert "gpt2-large in fp32 is larger than the 2 GiB" in found["detail"]
