"""``bench --fit`` as a user runs it, on machines with drivers of all kinds."""

import json
import os
import subprocess
import sys

import pytest

from tests.fakes.nvml.codes import Return

MIB = 2**20
COMMAND = ("-m", "gpuwarden", "bench", "--fit")


def told(*arguments, driver=None, tmp_path, **options):
    """The command's end; without a driver there is none, whatever this machine has."""
    none = {"LD_LIBRARY_PATH": str(tmp_path)}
    environ = {**os.environ, **(driver.environment() if driver else none)}
    command = [sys.executable, *COMMAND, *arguments]
    return subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60, **options
    )


def cards(*arguments, **where):
    file = where["tmp_path"] / "fit.json"
    found = told("--json", str(file), "--only", "gpt2-xl", *arguments, **where)
    assert (found.returncode, found.stderr) == (0, "")
    document = json.loads(file.read_text())
    return document["cards"], document["unknown_cards"]


def test_each_card_is_asked_what_is_free(fake_driver, tmp_path):
    """A card that somebody uses would be told to be free."""
    driver = fake_driver("rtx-2060", "rtx-3090")
    driver.gpu(0).memory_used = 3000 * MIB
    (small, large), unknown = cards(driver=driver, tmp_path=tmp_path)
    xl = next(run for run in small["runs"] if (run["precision"], run["what"]) == ("fp16", "answer"))

    assert unknown == []
    assert (small["name"], small["index"]) == ("NVIDIA GeForce RTX 2060", "0")
    assert small["total_bytes"] == 6144 * MIB
    assert (small["reserved_bytes"], small["reserved_assumed"]) == (234 * MIB, False)
    assert small["free_if_empty_bytes"] == (6144 - 234) * MIB
    assert small["free_bytes"] == (6144 - 234 - 3000) * MIB
    assert (xl["now"]["verdict"], xl["if_empty"]["verdict"]) == ("does not fit", "fits")
    assert large["uuid"] != small["uuid"]


def test_an_old_driver_does_not_tell_its_reserve(fake_driver, tmp_path):
    """Under WSL or an old driver there would be no answer at all."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).fail("nvmlDeviceGetMemoryInfo_v2", Return.FUNCTION_NOT_FOUND)
    (card,), _ = cards(driver=driver, tmp_path=tmp_path)

    assert card["reserved_assumed"] is True
    assert card["reserved_bytes"] == 256 * MIB
    assert card["free_bytes"] == (12_288 - 236) * MIB


def test_a_card_that_does_not_answer_costs_only_itself(fake_driver, tmp_path):
    """One broken card would keep the answer for all others back."""
    driver = fake_driver("rtx-3060", "gb10", "rtx-2060")
    driver.gpu(2).fail("nvmlDeviceGetMemoryInfo_v2", Return.GPU_IS_LOST)
    found, unknown = cards(driver=driver, tmp_path=tmp_path)

    assert [card["index"] for card in found] == ["0"]
    assert unknown[0] == "GPU 1: it has no memory but the host's: name the size that it may take of that"
    assert "GPU 2" in unknown[1]


@pytest.mark.parametrize("profiles", [None, (), ("gb10",)], ids=["no driver", "no card", "memory of the host"])
def test_without_a_card_the_flag_is_named(fake_driver, tmp_path, profiles):
    """A user without a card here would not learn how to ask about one."""
    driver = None if profiles is None else fake_driver(*profiles)
    found = told(driver=driver, tmp_path=tmp_path)

    assert found.returncode == 2
    assert "--memory 8GiB" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_divided_card_is_no_whole_one(fake_driver, tmp_path):
    """Memory would be promised that no program can have as one."""
    driver = fake_driver("rtx-3060", "a100-40gb")
    driver.gpu(1).mig_mode = [1, 1]
    found, unknown = cards(driver=driver, tmp_path=tmp_path)

    assert [card["index"] for card in found] == ["0"]
    assert unknown == ["GPU 1: it is divided (MIG): name the size of the part that is meant"]


def test_one_card_can_be_named(fake_driver, tmp_path):
    """On a box of eight cards a user would look for his among all."""
    driver = fake_driver("rtx-3060", "rtx-2060")
    (card,), _ = cards("--gpu", "1", driver=driver, tmp_path=tmp_path)
    refused = told("--gpu", "7", driver=driver, tmp_path=tmp_path)

    assert card["name"] == "NVIDIA GeForce RTX 2060"
    assert (refused.returncode, "no GPU 7 tells its memory; there are: 0 (GPU-" in refused.stderr) == (2, True)


def test_a_named_size_asks_no_driver(fake_driver, tmp_path):
    """A hanging driver would keep back an answer that does not need it."""
    driver = fake_driver("rtx-3060")
    driver.system.hang("nvmlInitWithFlags")
    found = told("--memory", "8GB", driver=driver, tmp_path=tmp_path)

    assert found.returncode == 0
    assert driver.calls("nvmlInitWithFlags") == 0


def test_a_driver_that_hangs_is_not_waited_for(fake_driver, tmp_path):
    """The command would hang, and Ctrl-C would be all that is left."""
    driver = fake_driver("rtx-3060")
    driver.system.hang("nvmlInitWithFlags")
    program = "from exporter.bench.fit.cards import ask_driver; ask_driver(seconds=0.3)"
    environ = {**os.environ, **driver.environment()}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False, timeout=60
    )

    assert found.returncode == 1
    assert "the driver has not answered for 0 s" in found.stderr
    assert "name a size with --memory 8GiB" in found.stderr


def test_it_loads_neither_torch_nor_the_workload(tmp_path):
    """A question that is arithmetic would need a gigabyte of torch."""
    program = (
        "import sys; from gpuwarden.cli import main\n"
        "main(['bench', '--fit', '--memory', '8GB'], standalone_mode=False)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'pynvml', 'yaml', 'alerts'}))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == ""
