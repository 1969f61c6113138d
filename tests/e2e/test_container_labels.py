"""A process in a real container of a real engine, on a simulated card."""

import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest

from tests.docker.stack import require_engine, unavailable
from tests.e2e.running import exporter, series
from tests.fakes.nvml.gpu import Process
from tests.polling import wait_until

pytestmark = pytest.mark.docker

GIB = 2**30
SOCKET = Path("/var/run/docker.sock")
PROGRAM = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def container(tmp_path):
    """A running container that holds one program: its full id, its name and the host's number of its process."""
    require_engine()
    compiler = shutil.which("cc")
    program = tmp_path / "trainer"
    source = tmp_path / "trainer.c"
    source.write_text(PROGRAM)
    built = compiler and subprocess.run([compiler, "-static", "-o", program, source], capture_output=True, check=False)
    if not built or built.returncode != 0:
        unavailable("no C compiler that links statically")
    with tarfile.open(tmp_path / "image.tar", "w") as image:
        image.add(program, "trainer")
    name = f"gpuwarden-test-{uuid.uuid4().hex[:12]}"
    docker("import", "--change", 'ENTRYPOINT ["/trainer"]', str(tmp_path / "image.tar"), name)
    try:
        identity = docker("run", "--detach", "--rm", "--network", "none", "--name", name, name)
        yield identity, name, int(docker("inspect", "--format", "{{.State.Pid}}", identity))
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False, timeout=60)
        docker("image", "rm", "--force", name)


@pytest.fixture
def driver(fake_driver, container):
    """A card on which the container's process holds memory."""
    driver = fake_driver("rtx-3060")
    driver.gpu(0).set_processes([Process(container[2], GIB)])
    return driver


def shown(url):
    held = series(url).get("gpu_process_memory_used_bytes", {})
    return [(dict(labels)["process"], dict(labels)["container"]) for labels in held]


def test_a_process_in_a_container_carries_its_id(tmp_path, driver, container):
    """On a plain Docker box nobody could tell which container holds the memory."""
    with exporter(tmp_path, driver.environment()) as process:
        expected = [("trainer", container[0][:12])]
        wait_until(lambda: shown(process.url) == expected, 10, lambda: str(shown(process.url)))


def test_an_engine_that_may_be_asked_gives_the_name(tmp_path, driver, container):
    """A user who allowed it would still have to look ids up by hand."""
    if not SOCKET.exists():
        unavailable(f"no engine's socket at {SOCKET}")
    environ = {**driver.environment(), "GPUWARDEN_EXPORTER_CONTAINER_ENGINES": str(SOCKET)}
    with exporter(tmp_path, environ) as process:
        expected = [("trainer", container[1])]
        wait_until(lambda: shown(process.url) == expected, 10, lambda: str(shown(process.url)))
