"""Whatever stands in the kernel's files, reading them goes well and gives only what can be shown."""

import contextlib
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from exporter.processes.cgroups import container_of
from exporter.processes.expressions import ways
from exporter.processes.procfs import Procfs, lengthened
from exporter.sources import hostfiles

ID = "0123456789abcdef" * 4
SEGMENTS = st.one_of(
    st.sampled_from(["docker", "lxc", "conmon", "buildkit", ID, f"docker-{ID}.scope", "lxc.payload.", "ns", "..", "-"]),
    st.text(max_size=8),
    st.text(alphabet="\x00\x1b\u202e\n:/lxc.payad", max_size=24),
)
CGROUPS = st.lists(
    st.builds("{}:{}:/{}".format, st.integers(), st.text(max_size=4), st.lists(SEGMENTS, max_size=6).map("/".join))
).map("\n".join)
WORDS = st.one_of(
    st.sampled_from(["cpu", "cpu0", "btime", "-", "ro", "rw", "/", "8:1", "ext4", "\\040", "nodev", "kB", "eth0:"]),
    st.integers(-1, 10**25).map(str),
    st.text(max_size=6),
)
FILES = st.lists(st.lists(WORDS, max_size=20).map(" ".join), max_size=12).map("\n".join)


@given(CGROUPS)
def test_a_container_has_a_label_that_can_be_shown(text):
    """Who names a cgroup or an LXC container could forge a line of a mail or blind the box."""
    found = container_of(text)
    if found is not None:
        assert 0 < len(found.label) <= 128
        assert {unicodedata.category(character) for character in found.label}.isdisjoint({"Cc", "Cs"})
        assert not found.askable or len(found.identity) == 64


@given(FILES)
def test_the_hosts_files_may_hold_anything(text):
    """One odd line of a new kernel would take the host off the page."""
    for parse in (hostfiles.load_averages, hostfiles.networks):
        parse(text)
    kinds = hostfiles.kinds_on_devices(text.replace(" ", "\t"))
    for same in hostfiles.that_can_run_full(hostfiles.mounts(text), kinds):
        assert len({mount.number for mount in same}) == 1
        assert not any(mount.read_only for mount in same)


@given(st.binary(max_size=64), st.integers(0, 2**63), st.binary(max_size=64))
def test_a_process_may_call_itself_anything(tmp_path_factory, name, started, junk):
    """A program called ") R 1" could take the place of another in what is remembered of it."""
    folder = tmp_path_factory.mktemp("proc")
    (folder / "7").mkdir()
    fields = b" ".join([b"S", *[b"1"] * 18, str(started).encode(), b"3", b"4"])
    (folder / "7/stat").write_bytes(b"7 (" + name + b") " + fields)
    assert Procfs(folder).stat(7) == (name, started, 1)
    (folder / "7/stat").write_bytes(junk)
    with contextlib.suppress(ValueError):
        Procfs(folder).stat(7)


@given(st.binary(min_size=1, max_size=15), st.binary(max_size=200))
def test_a_longer_name_begins_with_the_kernels_and_ends_with_the_word(comm, cmdline):
    """An argument of a command line could slip into a label."""
    name = lengthened(comm, cmdline)
    assert name.startswith(comm)
    assert len(name[len(comm) :].split()) <= 1


@given(st.text(alphabet="ab(|)*+?{1,}[]\\^.:x", max_size=30))
def test_the_cost_of_any_text_is_bounded_from_below(expression):
    """An expression that is none would stop the check instead of being reported with its line."""
    assert ways(expression) >= 0
