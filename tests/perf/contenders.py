"""The exporters that are measured, and where each comes from: ours from this tree, the others into build/peers."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "build" / "peers"
NVITOP = "nvitop-exporter==1.7.2"
NODE_PACKAGE = "prometheus-node-exporter"


@dataclass(frozen=True, slots=True)
class Contender:
    """One exporter; ``{port}`` in ``command`` is filled in. ``missing`` says why it cannot be measured here."""

    name: str
    command: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""


def contenders(driver: Mapping[str, str], state: Path) -> list[Contender]:
    """Ours first. ``driver`` is the environment in which the simulated driver is found."""
    return [ours(driver, state), _nvitop(driver), _node()]


def ours(driver: Mapping[str, str], state: Path) -> Contender:
    """Our exporter with every default on; what it remembers goes into ``state``."""
    command = [sys.executable, "-m", "gpuwarden", "exporter", "--listen", "127.0.0.1:{port}", "--state", str(state)]
    return Contender("gpuwarden", command, driver)


def _nvitop(driver: Mapping[str, str]) -> Contender:
    name = NVITOP.replace("==", " ")
    command = PEERS / "bin" / "nvitop-exporter"
    if not command.exists():
        print(f"installing {NVITOP} into {PEERS} ...", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
            subprocess.run([PEERS / "bin" / "pip", "install", "--quiet", NVITOP], check=True)
        except (OSError, subprocess.CalledProcessError):
            return Contender(name, missing="not at hand")
    arguments = ["--bind-address", "127.0.0.1", "--port", "{port}", "--interval", "1"]
    return Contender(name, [str(command), *arguments], driver)


def _node() -> Contender:
    command = shutil.which(NODE_PACKAGE) or shutil.which("node_exporter") or _node_of_debian()
    if command is None:
        return Contender("node_exporter", missing="not at hand")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"version (\S+)", said.stdout + said.stderr)
    name = f"node_exporter {version.group(1)}" if version else "node_exporter"
    return Contender(name, [command, "--web.listen-address=127.0.0.1:{port}"])


def _node_of_debian() -> str | None:
    """Debian's package, unpacked beside the other peer and not installed."""
    command = PEERS / "node" / "usr" / "bin" / NODE_PACKAGE
    if command.exists():
        return str(command)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    folder = PEERS / "node"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"unpacking {NODE_PACKAGE} into {folder} ...", file=sys.stderr)
    fetched = subprocess.run(["apt-get", "download", "-qq", NODE_PACKAGE], cwd=folder, capture_output=True, check=False)
    packages = sorted(folder.glob("*.deb"))
    if fetched.returncode or not packages:
        return None
    subprocess.run(["dpkg", "-x", packages[-1], folder], check=True)
    return str(command)
