"""The host as it is, and hosts laid out in folders as an exporter in a container sees them."""

import os
import threading
from pathlib import Path

import psutil
import pytest

from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.snapshot import Snapshot
from exporter.sources.filesystems import Filesystems
from exporter.sources.guarded import Guarded
from exporter.sources.host import HostReader
from exporter.sources.hostfiles import NO_SPACE_TO_RUN_OUT, Mount, mounts, that_can_run_full
from exporter.sources.reader import SourceError
from tests.polling import wait_until

ONE = "1 2 3 4 0 0 0 0 0 0"
STAT = f"cpu  {{user}} 0 10 {{idle}} 20 0 0 0 {{guest}} 0\ncpu0 {ONE}\ncpu1 {ONE}\nintr 1 2\nbtime 1700000000\n"
FILES = {
    "proc/stat": STAT.format(user=100, idle=800, guest=0),
    "proc/meminfo": (
        "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nBuffers: 1 kB\nCached: 9 kB\nSReclaimable: 0 kB\n"
        "Shmem: 0 kB\nActive: 9 kB\nInactive: 9 kB\nSlab: 0 kB\nSwapTotal: 64 kB\nSwapFree: 16 kB\n"
    ),
    "proc/vmstat": "pswpin 0\npswpout 0\n",
    "proc/loadavg": "0.50 1.25 2.00 3/400 1234\n",
    "proc/filesystems": "nodev\tsysfs\nnodev\ttmpfs\nnodev\tnfs\n\text4\n\txfs\n\tsquashfs\n",
    "proc/diskstats": (
        "   8 0 sda 10 0 100 0 20 0 200 0 0 0 0\n   8 1 sda1 10 0 100 0 20 0 200 0 0 0 0\n"
        "   7 0 loop0 1 0 2 0 0 0 0 0 0 0 0\n 104 0 cciss/c0d0 1 0 2 0 3 0 4 0 0 0 0\n"
    ),
    "proc/net/dev": "head\nhead\n  eth9: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n",
    "proc/1/net/dev": (
        "Inter-|   Receive  |  Transmit\n face |bytes    packets\n    lo: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
        "  eth0:5 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\nveth12: 7 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0\n"
    ),
    "proc/sys/kernel/hostname": "kernel-says\n",
    "proc/sys/kernel/osrelease": "6.8.0-lab\n",
    "proc/sys/kernel/ostype": "Linux\n",
    "etc/hostname": "box\n",
    "sys/block/sda/x": "",
    "sys/block/loop0/x": "",
    "sys/block/cciss!c0d0/x": "",
    "data/x": "",
}


@pytest.fixture
def root(tmp_path):
    """A host's file system in a folder, on a disk that mountinfo names as it is."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "proc/1/mountinfo").write_text(mountinfo(tmp_path))
    yield tmp_path
    psutil.PROCFS_PATH = "/proc"  # psutil is told where to look once for the whole process


def number_of(path):
    device = Path(path).stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def mountinfo(root, *more):
    here = number_of(root)
    return "".join(
        f"{line}\n"
        for line in (
            f"22 1 {here} /sub /data rw,relatime shared:5 - ext4 /dev/sda1 rw",
            f"21 1 {here} / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro",
            "23 1 0:5 / /dev rw - devtmpfs udev rw",
            "24 1 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro",
            "25 1 0:44 / /srv/media rw - nfs nas:/media rw",
            "26 1 8:9 / /not/here rw - xfs /dev/sdb1 rw",
            "27 1 0:45 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw",
            "a line that is none",
            *more,
        )
    )


def test_the_host_is_read_for_real():
    """The host's rules would judge nothing."""
    reader = HostReader()
    reader.read()
    host = reader.read().host

    assert host.memory_total_bytes == psutil.virtual_memory().total
    assert host.cpus == psutil.cpu_count()
    assert host.boot_timestamp_seconds == psutil.boot_time()
    assert 0 < host.memory_used_ratio < 1
    assert host.cpu_utilization_ratio is None or 0 <= host.cpu_utilization_ratio <= 1
    assert host.info["hostname"] == os.uname().nodename
    assert host.info["kernel"] == os.uname().release
    assert set(host.network_received_bytes_total) <= set(psutil.net_io_counters(pernic=True))
    assert set(host.disk_read_bytes_total) <= set(psutil.disk_io_counters(perdisk=True) or {})


def test_the_share_of_cpu_time_needs_two_readings(root):
    """The first scrape would show an idle machine that is not, or count a guest's time twice."""
    reader = HostReader(root)
    assert reader.read().host.cpu_utilization_ratio is None
    (root / "proc/stat").write_text(STAT.format(user=160, idle=840, guest=50))
    assert reader.read().host.cpu_utilization_ratio == pytest.approx(0.6)
    assert reader.read().host.cpu_utilization_ratio is None


def test_file_systems_that_cannot_run_out_are_left_out():
    """A snap's squashfs, always 100 % full, would alert on every Ubuntu box."""
    host = HostReader().read().host

    assert {key[2] for key in host.filesystem_used_ratio}.isdisjoint(NO_SPACE_TO_RUN_OUT)
    assert len({key[0] for key in host.filesystem_used_ratio}) == len(host.filesystem_used_ratio)
    for key, ratio in host.filesystem_used_ratio.items():
        usage = psutil.disk_usage(key[1])
        assert ratio == pytest.approx(usage.percent / 100, abs=0.02)


def test_a_container_sees_the_host_and_not_itself(root):
    """An exporter in Docker would report its own container: another name, another network, another disk."""
    host = HostReader(root).read().host

    assert host.memory_total_bytes == 1000 * 1024
    assert host.memory_used_ratio == 0.75
    assert (host.swap_total_bytes, host.swap_used_bytes) == (64 * 1024, 48 * 1024)
    assert (host.cpus, host.boot_timestamp_seconds) == (2, 1_700_000_000)
    assert host.load_average == {"1m": 0.5, "5m": 1.25, "15m": 2.0}
    assert host.network_received_bytes_total == {"eth0": 5}
    assert host.network_transmitted_bytes_total == {"eth0": 6}
    assert host.disk_read_bytes_total == {"sda": 51_200, "cciss/c0d0": 1024}
    assert host.disk_written_bytes_total == {"sda": 102_400, "cciss/c0d0": 2048}
    assert host.info["kernel"] == "6.8.0-lab"
    assert host.info["hostname"] in {"kernel-says", "box"}
    usage = psutil.disk_usage(str(root))
    assert host.filesystem_size_bytes == {("/dev/sda1", "/", "ext4"): usage.total}


def test_the_hosts_name_is_never_that_of_a_container(root):
    """A wall with ten boxes would show ten container ids."""
    (root / "proc/sys/kernel/hostname").unlink()
    assert HostReader(root).read().host.info["hostname"] == "box"


@pytest.mark.parametrize("missing", ["sys/block", "proc/1", "proc/stat", "proc/meminfo", "proc/filesystems", "etc"])
def test_what_is_missing_costs_only_itself(root, missing):
    """On WSL and in tight containers some files are not there; the rest of the host would be gone with them."""
    (root / missing).rename(root / "gone")
    host = HostReader(root).read().host

    given = {
        "sys/block": host.disk_read_bytes_total,
        "proc/1": host.network_received_bytes_total or host.filesystem_used_ratio,
        "proc/stat": host.cpus,
        "proc/meminfo": host.memory_total_bytes,
    }
    assert not given.pop(missing, None)
    assert all(given.values())


def test_a_file_system_that_is_not_here_is_not_taken_for_another(root):
    """A disk that was mounted after the container started would be shown as full as the disk beneath it."""
    (root / "later").mkdir()
    (root / "proc/1/mountinfo").write_text(mountinfo(root, "28 1 8:77 / /later rw - ext4 /dev/sdc1 rw"))
    assert {device for device, *_ in Filesystems(root).read()} == {"/dev/sda1"}


def test_a_mount_that_only_we_see_read_only_can_still_run_full(root):
    """Under systemd's protection every mount looks read-only to the exporter, and no disk would be watched."""
    here = number_of(root)
    (root / "proc/1/mountinfo").write_text(
        f"21 1 {here} / / ro,relatime - ext4 /dev/sda1 rw\n22 1 8:78 / /data ro - ext4 /dev/sdb1 ro\n"
    )
    assert list(Filesystems(root).read()) == [("/dev/sda1", "/", "ext4")]


def test_a_file_system_that_is_read_only_is_left_out(root):
    """A DVD, or a system image that is full by design, would be reported as almost full for ever."""
    here = number_of(root)
    (root / "proc/1/mountinfo").write_text(f"21 1 {here} / / rw,relatime - ext4 /dev/sda1 ro,errors=continue\n")
    assert Filesystems(root).read() == {}


def test_what_is_mounted_over_a_file_system_hides_it():
    """A file system that cannot be reached any more would be reported with the numbers of the one above it."""
    text = "21 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n22 1 8:2 / /mnt rw - xfs /dev/sdb1 rw\n"
    assert [mount.device for mount in mounts(text)] == ["/dev/sdb1"]


def test_blanks_in_a_mount_point_are_blanks():
    """A USB disk called "My Disk" would not be found."""
    (mount,) = mounts(r"21 1 8:1 / /media/My\040Disk\134x rw shared:1 master:2 - ext4 /dev/sda1 rw")
    assert mount.point == "/media/My Disk\\x"


def test_bind_mounts_count_once():
    """Kubernetes mounts one disk a hundred times, and each would be a series and a mail."""
    same = [Mount("8:1", point, "ext4", "/dev/sda1", read_only=False) for point in ("/a/b", "/", "/a")]
    (found,) = that_can_run_full(same, frozenset({"ext4"}))
    assert [mount.point for mount in found] == ["/", "/a", "/a/b"]


def test_a_mount_point_that_is_no_text_leaves_the_page_valid(root):
    """One USB stick with an old file name would take the whole page down, cards included."""
    name = "caf\udce9\u202e\n"
    (root / name).mkdir()
    line = f"21 1 {number_of(root)} / /{name} rw - ext4 /dev/sdz1 rw\n".replace(f"{name}", "caf\udce9\u202e\\012")
    (root / "proc/1/mountinfo").write_bytes(os.fsencode(line))
    reader = HostReader(root)

    assert list(reader.read().host.filesystem_used_ratio) == [("/dev/sdz1", "/caf\ufffd", "ext4")]
    page = PageMaker(lambda: Snapshot(host=reader.read().host), Observations(), interval=1, version="1").page()
    assert b"/caf\xef\xbf\xbd" in page.text
    assert page.openmetrics.endswith(b"# EOF\n")


def test_a_file_system_that_hangs_costs_only_itself():
    """A dying disk would take memory, network and every other disk off the page, for as long as it hangs."""
    released, threads = threading.Event(), threading.active_count()

    def look(key):
        if key.startswith("hangs"):
            assert released.wait(30)
        if key == "fails":
            raise OSError
        return None if key == "nothing" else key.upper()

    guarded = Guarded(look, patience=0.05)
    keys = ["a", "hangs", "fails", "b", "hangs too", "nothing", "c"]
    try:
        for _ in range(3):
            assert guarded.read(keys) == {"a": "A", "b": "B", "c": "C"}
            assert threading.active_count() <= threads + 2
    finally:
        released.set()
    wait_until(lambda: "hangs" in guarded.read(keys) and "hangs too" in guarded.read(keys), 5, "never asked again")


def test_a_root_without_a_host_is_a_failed_source(tmp_path):
    """After a slip in exporter.host.root nothing of the host would be watched, and every health check be green."""
    with pytest.raises(SourceError, match=r"exporter\.host\.root"):
        HostReader(tmp_path / "nowhere").read()
    psutil.PROCFS_PATH = "/proc"


def test_mappings_and_arrays_are_not_counted_beside_their_disks(root):
    """On a box with encryption or RAID, the sum over all disks would be twice what was read."""
    (root / "sys/block/sda/slaves").mkdir()
    assert "sda" in HostReader(root).read().host.disk_read_bytes_total
    (root / "sys/block/sda/slaves/sdb").mkdir()
    assert "sda" not in HostReader(root).read().host.disk_read_bytes_total
