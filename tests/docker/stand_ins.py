"""Images that stand in for those that the stack names, built on a Debian host as root, where none can be pulled.

- The base is Debian 13, made by debootstrap from the mirror that this machine uses; as python:*-slim-trixie is.
- Python has the wheels for our image in it, fetched by the host's pip with the host's settings, and looks nowhere else.
- Python for the image with torch is the host's own: a torch without CUDA may be had for no other.
- Prometheus and Alertmanager are Debian's own binaries, with the paths, the user and the wget of the real images.

They are called ``gpuwarden-stand-in/NAME`` and kept for the next run. Under the real names they stand only while the
tests run (``borrowed_names``), so that they never hide an image that somebody wants to pull later.
"""

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREFIX = "gpuwarden-stand-in"
CONSTRAINTS = ROOT / "constraints.txt"
_PACKAGES = "python3,python3-venv,ca-certificates,busybox-static"
_NOT_NEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")

_PYTHON = """\
FROM {prefix}/{debian}
COPY wheels /wheels
COPY pip.conf /etc/pip.conf
"""
_SERVER = """\
FROM {prefix}/debian
COPY bin /bin
COPY share /usr/share/prometheus
RUN mkdir -p {data} && chown nobody:nogroup {data}
USER nobody
WORKDIR {data}
EXPOSE {port}
ENTRYPOINT ["/bin/{binary}"]
"""


def why_not() -> str:
    """Why they cannot be built here, or an empty text."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or shutil.which("apt-get") is None:
        return "no images can be pulled, and stand-ins are built on Debian, as root, with debootstrap"
    return ""


def why_no_torch() -> str:
    """Why the one with torch cannot be built here, or an empty text."""
    try:
        installed = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "torch is not installed, so nobody knows which one this machine would get"
    return "" if installed.endswith("+cpu") else f"this machine gets torch {installed}, with gigabytes of CUDA"


def image_of(name: str) -> str:
    """What a stand-in is called; one with wheels changes its name with them."""
    wheels = hashlib.sha256(f"{_wanted()} {CONSTRAINTS.read_text()}".encode()).hexdigest()[:12]
    return f"{PREFIX}/{name}:{wheels if name in {'python', 'torch'} else 'latest'}"


def exists(image: str) -> bool:
    return _docker("image", "inspect", image, check=False).returncode == 0


def build(*names: str) -> None:
    """Build those of them that are not there yet: about two minutes, and 500 MB below /tmp for as long."""
    for name in names:
        base, make = _BUILDERS[name]
        if base:
            build(base)
        if not exists(image_of(name)):
            with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
                make(Path(folder))


@contextmanager
def borrowed_names(names: Mapping[str, str]) -> Iterator[None]:
    """Let stand-ins (keys) go by the real images' names (values) for as long."""
    try:
        for stand_in, real in names.items():
            _docker("tag", image_of(stand_in), real)
        yield
    finally:
        for real in names.values():
            _docker("image", "rm", "--no-prune", real, check=False)


def _debian(folder: Path, release: str = "trixie", name: str = "debian") -> None:
    sites = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").stdout.split()
    mirror = next(site for site in sites if site.rstrip("/").endswith("/debian"))
    debian = folder / "debian"
    _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release, str(debian), mirror)
    for path in _NOT_NEEDED:
        shutil.rmtree(debian / path)
    (debian / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (debian / "usr/bin/wget").symlink_to("busybox")
    archive = folder / "debian.tar"
    _run("tar", "-C", str(debian), "-cf", str(archive), ".")
    _docker("import", str(archive), f"{PREFIX}/{name}")


def _host_debian(folder: Path) -> None:
    _debian(folder, platform.freedesktop_os_release()["VERSION_CODENAME"], "host-debian")


def _wanted() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [*project["project"]["dependencies"], *project["build-system"]["requires"], "aiosmtpd", "trustme"]


def _python(folder: Path) -> None:
    tags = (f"manylinux{version}_{platform.machine()}" for version in ("_2_28", "_2_17", "2014"))
    platforms = [part for tag in tags for part in ("--platform", tag)]
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder / "wheels")),
        *("--only-binary=:all:", "--python-version", "3.13", *platforms),
        *("-c", str(CONSTRAINTS), *_wanted()),
    )
    _with_wheels(folder, "python", "debian")


def _torch(folder: Path) -> None:
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder / "wheels")),
        *("--only-binary=:all:", "-c", str(CONSTRAINTS), "torch", *_wanted()),
    )
    _with_wheels(folder, "torch", "host-debian")


def _with_wheels(folder: Path, name: str, debian: str) -> None:
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    _build(folder, name, _PYTHON, debian=debian)


def _prometheus(folder: Path) -> None:
    _binaries(folder, ["prometheus", "promtool"], {"prometheus": "prometheus", "promtool": "promtool"})
    _build(folder, "prometheus", _SERVER, binary="prometheus", data="/prometheus", port=9090)


def _alertmanager(folder: Path) -> None:
    _binaries(folder, ["prometheus-alertmanager"], {"prometheus-alertmanager": "alertmanager", "amtool": "amtool"})
    _build(folder, "alertmanager", _SERVER, binary="alertmanager", data="/alertmanager", port=9093)


def _binaries(folder: Path, packages: list[str], names: Mapping[str, str]) -> None:
    _run(str(HERE / "unstable.sh"), str(folder / "packages"), *packages)
    (folder / "bin").mkdir()
    for packaged, real in names.items():
        shutil.move(folder / "packages/usr/bin" / packaged, folder / "bin" / real)
    shutil.move(
        folder / "packages/usr/share/prometheus", folder / "share"
    )  # Debian's binaries look for templates there
    shutil.rmtree(folder / "packages")


def _build(folder: Path, name: str, dockerfile: str, **values: object) -> None:
    (folder / "Dockerfile").write_text(dockerfile.format(prefix=PREFIX, **values))
    _docker("build", "--quiet", "--tag", image_of(name), str(folder))


_BUILDERS: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "debian": ("", _debian),
    "host-debian": ("", _host_debian),
    "python": ("debian", _python),
    "torch": ("host-debian", _torch),
    "prometheus": ("debian", _prometheus),
    "alertmanager": ("debian", _alertmanager),
}
"""What each stands on, and how it is made."""


def _docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return _run("docker", *arguments, check=check)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done


if __name__ == "__main__":
    build(*_BUILDERS)
