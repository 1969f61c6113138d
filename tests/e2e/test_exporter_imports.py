"""What the running exporter has loaded: every library costs memory on the box that is watched."""

import pytest

from tests.e2e.probing import Probing, wait_for
from tests.e2e.running import CLIENT, exporter, of_gpu, series
from tests.polling import wait_until

NOT_NEEDED = (
    "prometheus_client",
    "starlette",
    "anyio",
    "httpx",
    "jinja2",
    "yaml",
    "cattrs",
    "bcrypt",
    "grafanalib",
    "aiosmtplib",
    "sqlite3",
    "torch",
)


AT_THE_END = """\
import atexit, os, pathlib, sys

atexit.register(lambda: pathlib.Path(os.environ["LOADED"]).write_text("\\n".join(sys.modules)))
"""


def _told_at_the_end(tmp_path):
    """The environment in which a process writes down, and where, which modules it had loaded."""
    site, told = tmp_path / "site", tmp_path / "loaded"
    site.mkdir()
    (site / "sitecustomize.py").write_text(AT_THE_END)
    return {"PYTHONPATH": str(site), "LOADED": str(told)}, told


def test_the_running_exporter_has_loaded_nothing_that_it_does_not_need(tmp_path, fake_driver):
    """The exporter would take tens of megabytes from the programs that it watches."""
    driver = fake_driver("rtx-3060")
    told_how, told = _told_at_the_end(tmp_path)
    with exporter(tmp_path, {**driver.environment(), **told_how}) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        for path, accept in (("/metrics", "application/openmetrics-text"), ("/", "text/html"), ("/status", "*/*")):
            assert CLIENT.get(f"{process.url}{path}", headers={"accept": accept}).status_code == 200
    modules = told.read_text().splitlines()
    loaded = {name.partition(".")[0] for name in modules}

    assert {"pynvml", "psutil", "uvicorn"} <= loaded
    assert loaded.intersection(NOT_NEEDED) == set()
    assert "exporter.latency.probe" not in modules
    assert [name for name in modules if name.startswith("exporter.model_memory")] == []


def test_an_exporter_that_probes_loads_no_torch_either(tmp_path, fake_driver):
    """The exporter would hold 200 MB and a context on each card, for good."""
    driver = fake_driver("rtx-3060")
    told_how, told = _told_at_the_end(tmp_path)
    with Probing(tmp_path).exporter({**driver.environment(), **told_how}) as process:
        wait_for(process, "model_probe_success", 1)
        assert CLIENT.get(process.url).status_code == 200
    # The stand-in's Python has the same environment and writes there, too; the exporter ends last.
    modules = told.read_text().splitlines()
    loaded = {name.partition(".")[0] for name in modules}

    assert "exporter.latency.probe" in modules
    assert loaded.intersection(NOT_NEEDED) == set()
    assert [name for name in modules if name.startswith("exporter.workload")] == []


@pytest.mark.timeout(180)
def test_an_exporter_that_probes_stays_as_small_as_one_that_does_not(tmp_path, fake_driver):
    """Probing would cost the watched programs more memory for good, and more with each run."""
    driver = fake_driver("rtx-3060")
    (tmp_path / "plain").mkdir()
    (tmp_path / "probing").mkdir()
    held = {}
    with exporter(tmp_path / "plain", driver.environment()) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        held["plain"] = series(process.url)["process_resident_memory_bytes"][()]
    with Probing(tmp_path / "probing").exporter(driver.environment()) as process:
        wait_for(process, "model_requests_total", 1, source="probe", outcome="ok")
        held["one run"] = series(process.url)["process_resident_memory_bytes"][()]
        wait_for(process, "model_requests_total", 3, source="probe", outcome="ok", seconds=60)
        held["three runs"] = series(process.url)["process_resident_memory_bytes"][()]

    assert held["one run"] - held["plain"] < 5e6, held
    assert held["three runs"] - held["one run"] < 1e6, held
