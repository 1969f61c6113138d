"""What the running exporter has loaded: every library costs memory on the box that is watched."""

from tests.e2e.running import CLIENT, exporter, of_gpu, series
from tests.polling import wait_until

NOT_NEEDED = (
    "prometheus_client",
    "starlette",
    "anyio",
    "httpx",
    "jinja2",
    "grafanalib",
    "aiosmtplib",
    "sqlite3",
    "torch",
)


def test_the_running_exporter_has_loaded_nothing_that_it_does_not_need(tmp_path, fake_driver):
    """The exporter would take tens of megabytes from the programs that it watches."""
    driver = fake_driver("rtx-3060")
    with exporter(tmp_path, {**driver.environment(), "PYTHONPROFILEIMPORTTIME": "1"}) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        for path, accept in (("/metrics", "application/openmetrics-text"), ("/", "text/html"), ("/status", "*/*")):
            assert CLIENT.get(f"{process.url}{path}", headers={"accept": accept}).status_code == 200
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in process.lines if "|" in line}

    assert {"pynvml", "psutil", "uvicorn"} <= loaded
    assert loaded.intersection(NOT_NEEDED) == set()
