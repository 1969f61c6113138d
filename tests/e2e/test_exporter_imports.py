"""What the running exporter has loaded: every library costs memory on the box that is watched."""

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


def test_the_running_exporter_has_loaded_nothing_that_it_does_not_need(tmp_path, fake_driver):
    """The exporter would take tens of megabytes from the programs that it watches."""
    driver = fake_driver("rtx-3060")
    site, told = tmp_path / "site", tmp_path / "loaded"
    site.mkdir()
    (site / "sitecustomize.py").write_text(AT_THE_END)
    told_how = {"PYTHONPATH": str(site), "LOADED": str(told)}
    with exporter(tmp_path, {**driver.environment(), **told_how}) as process:
        wait_until(lambda: of_gpu(series(process.url), "gpu_up", 0) == 1, 10, "the card was not read")
        for path, accept in (("/metrics", "application/openmetrics-text"), ("/", "text/html"), ("/status", "*/*")):
            assert CLIENT.get(f"{process.url}{path}", headers={"accept": accept}).status_code == 200
    loaded = {name.partition(".")[0] for name in told.read_text().splitlines()}

    assert {"pynvml", "psutil", "uvicorn"} <= loaded
    assert loaded.intersection(NOT_NEEDED) == set()
