"""Cards that were taken out, as a user deals with them at the command line."""

from tests.e2e.running import exporter, of_gpu, run, series
from tests.polling import wait_until


def test_a_card_that_was_taken_out_is_missed_until_it_is_forgotten(fake_driver, tmp_path):
    """A user could neither see which cards are expected nor say that one has gone for good."""
    driver = fake_driver("rtx-3060", "rtx-3090")
    with exporter(tmp_path, driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 1) == 1, 20, "the second card is not up")
    driver.gpu(1).present = False
    uuid = driver.gpu(1).uuid

    with exporter(tmp_path, driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 1) == 0, 20, "the second card is not missed")
        wait_until(
            lambda: series(process.url).get("gpuwarden_exporter_gpus_missing") == {(): 1.0}, 20, "none is missing"
        )

        listed = run("exporter", "cards", home=tmp_path)
        assert (listed.returncode, listed.stderr) == (0, "")
        assert [line.split("  ")[:3] for line in listed.stdout.splitlines()] == [
            ["GPU 0", driver.gpu(0).uuid, "NVIDIA GeForce RTX 3060"],
            ["GPU 1", uuid, "NVIDIA GeForce RTX 3090"],
        ]
        wrong = run("exporter", "forget", "GPU-none", home=tmp_path)
        assert wrong.returncode == 2
        assert "no card GPU-none is remembered" in wrong.stderr

        forgotten = run("exporter", "forget", uuid, home=tmp_path)
        assert (forgotten.returncode, forgotten.stdout) == (0, f"forgotten: {uuid} NVIDIA GeForce RTX 3090\n")
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 1) is None, 20, "the forgotten card is still there")
        assert series(process.url)["gpuwarden_exporter_gpus_missing"] == {(): 0.0}


def test_without_any_card_the_list_says_so(tmp_path):
    """An empty answer leaves open whether the right folder was looked into."""
    listed = run("exporter", "cards", "--help", home=tmp_path)
    assert "not forgotten" in listed.stdout
    listed = run("exporter", "--state", str(tmp_path / "elsewhere"), "cards", home=tmp_path)
    assert listed.stdout == f"no card is remembered in {tmp_path / 'elsewhere' / 'exporter'}\n"
