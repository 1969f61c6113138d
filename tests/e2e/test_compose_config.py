"""The files of the stack as Compose reads them; no engine is needed."""

import itertools
import re

import pytest

from tests.docker import stack
from tests.docker.stack import ROOT, config

pytestmark = pytest.mark.docker

OVERLAYS = sorted(path.name for path in (ROOT / "compose").glob("*.yaml") if path.name != "base.yaml")
COMBINATIONS = [
    ("compose.yaml", *(f"compose/{name}" for name in names))
    for count in range(len(OVERLAYS) + 1)
    for names in itertools.combinations(OVERLAYS, count)
]
ONE_SHOTS = {"generate", "reload"}


@pytest.fixture(autouse=True)
def _compose() -> None:
    stack.require_compose()


@pytest.mark.parametrize("files", COMBINATIONS, ids="+".join)
def test_every_combination_of_files_is_valid(files):
    """A combination that Compose refuses would greet a user with a parser's error."""
    services = config(*files)["services"]
    assert {"exporter", "prometheus", "alertmanager", "alerter", "grafana", *ONE_SHOTS} <= set(services)


@pytest.mark.parametrize("files", COMBINATIONS, ids="+".join)
def test_only_grafana_is_published_and_only_on_loopback(files):
    """A port of Prometheus or the webhook that is open to the network would be open to anyone in it."""
    published = {
        name: [port["host_ip"] for port in service["ports"]]
        for name, service in config(*files)["services"].items()
        if "ports" in service
    }
    assert published == {"grafana": ["127.0.0.1"]}


@pytest.mark.parametrize("files", COMBINATIONS, ids="+".join)
def test_every_service_is_held_short(files):
    """A service that was broken into, or leaks, must not take the machine with it."""
    for name, service in config(*files)["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert int(service["mem_limit"]) <= (4 if service["image"] == "gpuwarden-probe" else 2) * 2**30, name
        assert int(service["pids_limit"]) <= (1024 if service["image"] == "gpuwarden-probe" else 256), name
        assert service.get("user", "") not in {"0", "root"}, name
        assert service["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped"), name
        assert name in ONE_SHOTS or "healthcheck" in service, name


def test_the_base_reserves_the_cards_and_the_demo_needs_none():
    """Without the reservation no driver is in the container; with it, the demo would not start on a laptop."""
    base, demo = (
        config(*files)["services"]["exporter"] for files in (COMBINATIONS[0], ("compose.yaml", "compose/demo.yaml"))
    )
    (device,) = base["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu", "utility"]
    assert "deploy" not in demo
    assert "--demo" in demo["command"]


def test_the_exporter_sees_the_host_and_the_demo_does_not():
    """The wall would show the container's own network and disk; the demo would want rights that it has no use for."""
    base, demo = (
        config(*files)["services"]["exporter"] for files in (COMBINATIONS[0], ("compose.yaml", "compose/demo.yaml"))
    )
    assert (base["pid"], base["uts"]) == ("host", "host")
    (host,) = (volume for volume in base["volumes"] if volume["source"] == "/")
    assert host["read_only"]
    assert host["bind"]["propagation"] == "rslave"
    assert host["target"] == base["environment"]["GPUWARDEN_EXPORTER_HOST_ROOT"]
    assert not {"pid", "uts", "volumes"} & set(demo)
    assert "GPUWARDEN_EXPORTER_HOST_ROOT" not in demo["environment"]


PROBE = "compose/probe.yaml"


def test_the_probe_has_cuda_and_the_room_that_torch_needs():
    """A probe would find no card, or be killed while torch is loaded, and the exporter with it."""
    service = config("compose.yaml", PROBE)["services"]["exporter"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu", "utility", "compute"])
    assert (service["image"], service["build"]["target"]) == ("gpuwarden-probe", "probe")
    assert int(service["mem_limit"]) >= 4 * 2**30
    assert service["environment"]["GPUWARDEN_EXPORTER_PROBE_ENABLED"] == "true"
    assert (service["command"], service["pid"]) == (["exporter"], "host")


def test_the_probe_keeps_its_caches_where_a_read_only_container_can_write():
    """CUDA would compile anew for each run, or fail, and nobody would see why the first one takes minutes."""
    text = (ROOT / "compose/Dockerfile").read_text()
    folders = dict(re.findall(r"(\w+_(?:HOME|DIR|PATH))=(\S+)", text.split("AS probe")[1]))
    assert {"XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_HOME", "CUDA_CACHE_PATH"} <= set(folders)
    assert config("compose.yaml", PROBE)["services"]["exporter"]["tmpfs"] == ["/tmp"]
    assert all(folder.startswith("/tmp/") for folder in folders.values())


def test_a_user_chooses_models_and_torch_in_env():
    """Whose driver is older than the CUDA of torch's usual wheel could not have the probe at all."""
    given = {"TORCH_INDEX": "https://example.org/cu126", "GPUWARDEN_EXPORTER_PROBE_MODELS": "gpt2-medium"}
    service = config("compose.yaml", PROBE, environ=given)["services"]["exporter"]
    assert service["build"]["args"] == {"TORCH_INDEX": "https://example.org/cu126"}
    assert service["environment"]["GPUWARDEN_EXPORTER_PROBE_MODELS"] == "gpt2-medium"
    assert "args" not in config("compose.yaml", PROBE)["services"]["exporter"]["build"]


def test_the_demo_takes_the_probe_back():
    """A laptop would fetch gigabytes of torch and ask for a card that it does not have."""
    service = config("compose.yaml", PROBE, "compose/demo.yaml")["services"]["exporter"]
    assert not {"deploy", "build"} & set(service)
    assert (service["image"], service["command"]) == ("gpuwarden", ["exporter", "--demo"])


def test_only_the_probe_builds_torch():
    """The stack without a probe would download gigabytes that nothing in it uses."""
    stages = re.findall(r"(?m)^FROM \S+ AS (\w+)", (ROOT / "compose/Dockerfile").read_text())
    assert config("compose.yaml")["services"]["generate"]["build"]["target"] == "gpuwarden"
    # A builder that is not BuildKit builds every stage above the one it is asked for.
    assert stages.index("gpuwarden") < stages.index("torch") < stages.index("probe")


def test_torch_in_the_image_is_the_one_that_the_tests_run_with():
    """What the image measures with would be a torch that nobody has tried."""
    (version,) = re.findall(r"ARG TORCH_VERSION=(\S+)", (ROOT / "compose/Dockerfile").read_text())
    assert f"torch=={version}\n" in (ROOT / "constraints.txt").read_text()


def test_what_does_not_fit_into_the_environment_reaches_everyone_who_reads_it():
    """A route or a repeat that stands in the file would have no effect in the stack, or only half of one."""
    services = config("compose.yaml", environ={"GPUWARDEN_SETTINGS": "/somewhere/mine.yml"})["services"]
    for name in ("generate", "exporter", "alerter"):
        (found,) = (one for one in services[name]["volumes"] if one["target"] == "/etc/gpuwarden/gpuwarden.yml")
        assert found["source"] == "/somewhere/mine.yml"
        assert found["read_only"]


def test_no_engine_may_be_asked_unless_a_user_says_so():
    """Who may ask the engine may do everything on the host."""
    base = config("compose.yaml")["services"]["exporter"]
    assert base["group_add"] == ["10001"]
    assert not base["environment"].get("GPUWARDEN_EXPORTER_CONTAINER_ENGINES")
    given = {"DOCKER_GROUP": "998", "GPUWARDEN_EXPORTER_CONTAINER_ENGINES": "/host/run/docker.sock"}
    asked = config("compose.yaml", environ=given)["services"]["exporter"]
    assert asked["group_add"] == ["998"]
    assert asked["environment"]["GPUWARDEN_EXPORTER_CONTAINER_ENGINES"] == "/host/run/docker.sock"


def test_images_are_exact():
    """An image that moves changes the stack under a user who changed nothing."""
    services = config("compose.yaml")["services"]
    images = {service["image"] for service in services.values()} - {"gpuwarden"}
    text = (ROOT / "compose/Dockerfile").read_text()
    images |= set(re.findall(r"(?m)^FROM (\S+)", text)) - set(re.findall(r"(?m)^FROM \S+ AS (\w+)", text))
    assert all(re.search(r":v?\d+\.\d+\.\d+(-[\w-]+)?$", image) for image in images), images
    assert set(stack.NAMES.values()) <= images


def test_no_threshold_is_written_in_the_wiring():
    """A second place for a number would, sooner or later, say another number than the mail does."""
    texts = {path: path.read_text() for path in (ROOT / "compose").rglob("*.y*ml") if path.name != "rules.yml"}
    for path, text in texts.items():
        assert not re.search(r"gpu_|expr:|above:|below:|threshold:", re.sub(r"#.*", "", text)), path


def test_every_setting_of_the_example_is_one():
    """A line in .env.example that nothing reads sends a user looking for what he did wrong."""
    read = "".join(path.read_text() for path in (ROOT / "compose").glob("*.yaml"))
    offered = re.findall(r"(?m)^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text())
    assert offered
    assert [name for name in offered if name not in read and name != "COMPOSE_FILE"] == []


def test_every_setting_of_the_files_is_in_the_example():
    """What can be set and is told nowhere might as well not be there."""
    read = "".join(path.read_text() for path in (ROOT / "compose").glob("*.yaml"))
    example = (ROOT / ".env.example").read_text()
    handed_on = re.findall(r"(?m)^ +([A-Z][A-Z_]+):$", read)  # without a value: from .env
    assert [name for name in {*re.findall(r"\$\{([A-Z_]+)", read), *handed_on} if name not in example] == []


def test_the_alerter_knows_where_alertmanager_is():
    """In the stack a silence could not be made from the command line, and what ends under one would seem to go on."""
    services = config("compose.yaml")["services"]
    assert services["alerter"]["environment"]["GPUWARDEN_ALERTER_ALERTMANAGER_URL"] == "http://alertmanager:9093"
    assert "inside" in services["alertmanager"]["networks"]
    assert "inside" in services["alerter"]["networks"]
