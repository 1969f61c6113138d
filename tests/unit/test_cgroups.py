"""The container in /proc/<pid>/cgroup, as the engines of the world write it."""

import pytest

from exporter.processes.cgroups import container_of

ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
OUTER = "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d"
POD = "dbc9f149296cec5d12b78385eb5b2c0cfe20b476f117c15c76d981cff44053c1"
UID = "85401dd3-38cd-47b6-a90a-e16c0e1c06e6"
BUILD = "jkg3h4p8o2x1b7c6d5e4f3a2z"
USER = "/user.slice/user-1000.slice/user@1000.service"
SHORT = ID[:12]

IN_A_CONTAINER = {
    "docker, v1, cgroupfs": f"12:pids:/docker/{ID}\n4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n",
    "docker, v1, systemd": f"10:devices:/system.slice/docker-{ID}.scope\n1:name=systemd:/system.slice/x.service\n",
    "docker, v1, only some hierarchies": f"12:pids:/\n9:cpuset:/docker/{ID}\n0::/system.slice/containerd.service\n",
    "docker, v2, systemd": f"0::/system.slice/docker-{ID}.scope\n",
    "docker, v2, cgroupfs": f"0::/docker/{ID}\n",
    "docker, v2, with an init of its own": f"0::/system.slice/docker-{ID}.scope/init.scope/x.service\n",
    "docker, old, on a bare hierarchy": f"10:net_prio:/{ID}\n",
    "docker, --cgroup-parent": f"0::/my.slice/docker-{ID}.scope\n",
    "docker, GitHub's runner": f"0::/actions_job/{ID}\n",
    "docker, rootless": f"0::{USER}/user.slice/docker-{ID}.scope\n",
    "docker, seen from a container": f"0::/../docker-{ID}.scope\n",
    "docker, cgroupfs, seen from a container": f"0::/../{ID}\n",
    "docker in LXC, v1": f"4:memory:/lxc/101/ns/docker/{ID}\n",
    "docker in LXC, v2": f"0::/lxc.payload.box/system.slice/docker-{ID}.scope\n",
    "docker in Proxmox's LXC": f"0::/lxc/101/ns/system.slice/docker-{ID}.scope\n",
    "docker in docker": f"0::/docker/{OUTER}/docker/{ID}\n",
    "podman": f"0::/machine.slice/libpod-{ID}.scope\n",
    "podman, with a cgroup below": f"0::/machine.slice/libpod-{ID}.scope/container\n",
    "podman, rootless": f"0::{USER}/user.slice/libpod-{ID}.scope/container\n",
    "podman, rootless, in a pod": f"0::{USER}/user.slice/user-libpod_pod_{POD}.slice/libpod-{ID}.scope\n",
    "podman, cgroupfs": f"0::/libpod_parent/libpod-{ID}\n",
    "podman, cgroupfs, in a pod": f"11:memory:/libpod_parent/{POD}/libpod-{ID}\n",
    "podman, split by systemd": f"0::/system.slice/train.service/libpod-payload-{ID}\n",
    "kubernetes, cgroupfs": f"4:memory:/kubepods/besteffort/pod{UID}/{ID}\n",
    "kubernetes, containerd": (
        f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
        f"/cri-containerd-{ID}.scope\n"
    ),
    "kubernetes, colons": (
        f"1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
        f":cri-containerd:{ID}\n"
    ),
    "kubernetes, CRI-O": f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/crio-{ID}.scope/container\n",
    "kubernetes, dockershim": f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/docker-{ID}.scope\n",
    "kubernetes in kind": f"0::/docker/{OUTER}/kubelet/kubepods/pod{UID}/{ID}\n",
    "k3s": f"0::/k3s.service/kubepods/burstable/pod{UID}/{ID}\n",
    "nerdctl": f"0::/system.slice/nerdctl-{ID}.scope\n",
    "nerdctl, cgroupfs": f"0::/default/{ID}\n",
    "nerdctl, rootless": f"0::{USER}/user.slice/nerdctl-{ID}.scope\n",
    "ECS": f"9:memory:/ecs/0aa1b2c3-38cd-47b6-a90a-e16c0e1c06e6/{ID}\n",
    "buildx in a container": f"0::/docker/{ID}/buildkit/{BUILD}\n",
}
OF_A_CONTAINERS_NAME = {
    "LXC": ("0::/lxc.payload.train.box/system.slice/ollama.service\n", "train.box"),
    "LXC, v1": ("4:memory:/lxc/train-box\n", "train-box"),
    "LXC, Proxmox": ("0::/lxc/101/ns/init.scope\n", "101"),
    "docker's build": (f"0::/docker/buildkit/{BUILD}\n", BUILD[:12]),
    "docker's build, systemd": (f"0::/system.slice/docker-{BUILD}.scope\n", BUILD[:12]),
    "ECS, Fargate": (f"0::/ecs/{UID}/{ID[:32]}-1234567890\n", SHORT),
}
IN_NONE = {
    "init": "0::/init.scope\n",
    "a service": "0::/system.slice/ollama.service\n",
    "a user's session": f"0::{USER}/app.slice/app-gnome-python-1234.scope\n",
    "a VM": "0::/machine.slice/machine-qemu\\x2d1\\x2dwin.scope/libvirt/emulator\n",
    "Slurm": "0::/system.slice/slurmstepd.scope/job_12/step_0/user/task_0\n",
    "podman's monitor": f"0::/machine.slice/libpod-conmon-{ID}.scope\n",
    "podman's monitor, cgroupfs": f"0::/libpod_parent/{POD}/conmon\n",
    "podman's monitor, split by systemd": "0::/system.slice/train.service/libpod-conmon\n",
    "CRI-O's monitor": f"0::/kubepods.slice/crio-conmon-{ID}.scope\n",
    "a pod alone": f"0::/machine.slice/machine-libpod_pod_{POD}.slice\n",
    "LXC's monitor": "0::/lxc.monitor.box\n",
    "ourselves, from within": "0::/\n",
    "an id that is too short": f"0::/docker/{ID[:40]}\n",
    "an id that is too long": f"0::/docker/{ID}0\n",
    "no cgroups": "",
    "no file of the kernel's": f"docker-{ID}\n\x00:{ID}",
}


@pytest.mark.parametrize("case", IN_A_CONTAINER)
def test_the_id_of_a_container(case):
    """A user of this engine would see every process outside any container."""
    found = container_of(IN_A_CONTAINER[case])
    assert (found.identity, found.label, found.askable) == (ID, SHORT, True)


@pytest.mark.parametrize("case", OF_A_CONTAINERS_NAME)
def test_containers_that_no_engine_can_be_asked_for(case):
    """An engine would be asked for a container of another one, or the container's name be lost."""
    text, label = OF_A_CONTAINERS_NAME[case]
    found = container_of(text)
    assert (found.label, found.askable) == (label, False)


@pytest.mark.parametrize("case", IN_NONE)
def test_a_process_in_no_container(case):
    """The host's own services would be taken for containers, and a monitor's memory for its container's."""
    assert container_of(IN_NONE[case]) is None
