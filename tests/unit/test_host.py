import psutil
import pytest

from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.snapshot import Snapshot
from exporter.sources.host import NO_SPACE_TO_RUN_OUT, HostReader


def test_the_host_is_read_for_real():
    """The host's rules would judge nothing."""
    reader = HostReader()
    reader.read()
    host = reader.read().host

    assert host.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < host.memory_used_ratio < 1
    assert host.cpu_utilization_ratio is None or 0 <= host.cpu_utilization_ratio <= 1
    assert host.info["hostname"]


def test_the_share_of_cpu_time_needs_two_readings():
    """The first scrape would show an idle machine that is not."""
    assert HostReader().read().host.cpu_utilization_ratio is None


def test_file_systems_that_cannot_run_out_are_left_out():
    """A snap's squashfs, always 100 % full, would alert on every Ubuntu box."""
    host = HostReader().read().host

    assert {key[2] for key in host.filesystem_used_ratio}.isdisjoint(NO_SPACE_TO_RUN_OUT)
    assert len({key[0] for key in host.filesystem_used_ratio}) == len(host.filesystem_used_ratio)
    for key, ratio in host.filesystem_used_ratio.items():
        usage = psutil.disk_usage(key[1])
        assert ratio == pytest.approx(usage.percent / 100, abs=0.02)


def test_a_mount_point_that_is_no_text_leaves_the_page_valid(monkeypatch):
    """One USB stick with an old file name would take the whole page down, cards included."""
    odd = psutil.disk_partitions(all=True)[0]._replace(
        device="/dev/sdz1", mountpoint="/media/caf\udce9\u202e\n", fstype="ext4", opts="rw"
    )
    usage = psutil.disk_usage("/")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [odd])
    monkeypatch.setattr(psutil, "disk_usage", lambda _: usage)

    (labels,) = HostReader().read().host.filesystem_used_ratio

    assert labels == ("/dev/sdz1", "/media/caf\ufffd", "ext4")
    page = PageMaker(lambda: Snapshot(host=HostReader().read().host), Observations(), interval=1, version="1").page()
    assert b"/media/caf\xef\xbf\xbd" in page.text
    assert page.openmetrics.endswith(b"# EOF\n")
