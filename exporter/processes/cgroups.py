"""Which container a process runs in, from its ``/proc/<pid>/cgroup``.

A container's engine puts its processes into a cgroup whose name holds the container's id: alone (``/docker/<id>``,
``/kubepods/.../pod<uid>/<id>``), behind the engine's name (``docker-<id>.scope``, ``libpod-<id>``,
``cri-containerd-<id>.scope``, ``...slice:cri-containerd:<id>``), or with further cgroups below that the container made
itself. So the path is read from its end, and the innermost id counts: in a container that runs containers, that is the
one in which the process really is. A file has one line for each hierarchy of cgroup v1 and one for v2; the first that
holds an id counts, as processes are often moved in some hierarchies only.

- ``conmon`` watches a container from outside it, in a cgroup with the same id: not the container.
- A pod's id alone is no container's: ``libpod_pod_<id>.slice`` and ``pod<uid>`` do not match.
- Docker's build steps have shorter ids and no name that could be asked for; ECS has ids of its own form.
- LXC has no ids, the name stands in the path; it counts when nothing runs inside that has an id.

Seen from within a cgroup namespace (an exporter in a container), paths are relative: ``/../docker-<id>.scope``.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.processes.labels import clean_label

SHORT_ID = 12
_ENGINE = r"(?:[^/]*[-:_])?"
_ID = re.compile(rf"{_ENGINE}([0-9a-f]{{64}})(?:\.scope)?")
_TASK_ID = re.compile(r"([0-9a-f]{32}-[0-9]{6,12})")
_BUILD_ID = re.compile(r"(?:docker-)?([0-9a-z]{25})(?:\.scope)?")
_MONITOR = re.compile(r"(?:.*-)?conmon(?:-.*)?|lxc\.monitor.*")
_LXC_PAYLOAD = "lxc.payload."


class Container(NamedTuple):
    """``identity`` is the engine's full id where ``askable``; ``label`` is the short id, or the name of an LXC's."""

    identity: str
    label: str
    askable: bool


def container_of(cgroup: str) -> Container | None:
    """The container of a process with this ``/proc/<pid>/cgroup``, None when it is in none."""
    paths = [tuple(filter(None, path.split("/"))) for path in _paths(cgroup)]
    inside = [path for path in paths if not any(map(_MONITOR.fullmatch, path))]
    for find in (_by_id, _by_build, _by_lxc):
        for path in inside:
            found = find(path)
            if found is not None:
                return found
    return None


def _paths(cgroup: str) -> Iterator[str]:
    for line in cgroup.split("\n"):
        _, _, rest = line.partition(":")
        _, colon, path = rest.partition(":")
        if colon:
            yield path


def _by_id(path: Sequence[str]) -> Container | None:
    for segment in reversed(path):
        match = _ID.fullmatch(segment) or _TASK_ID.fullmatch(segment)
        if match is not None:
            return Container(match[1], match[1][:SHORT_ID], askable=match.re is _ID)
    return None


def _by_build(path: Sequence[str]) -> Container | None:
    for parent, segment in zip(("", *path), path, strict=False):
        match = _BUILD_ID.fullmatch(segment)
        if match is not None and ("buildkit" in parent or segment.startswith("docker-")):
            return Container(match[1], match[1][:SHORT_ID], askable=False)
    return None


def _by_lxc(path: Sequence[str]) -> Container | None:
    for parent, segment in zip(("", *path), path, strict=False):
        payload = segment.startswith(_LXC_PAYLOAD)
        label = clean_label(segment.removeprefix(_LXC_PAYLOAD)) if payload or parent == "lxc" else ""
        if label:
            return Container(label, label, askable=False)
    return None
