import math
from dataclasses import replace

import pytest

from exporter.snapshot import Gpu, GpuProcess, Host, Snapshot, SourceHealth, lost
from exporter.status.alerts import Alert, Alerts
from exporter.status.model import NO_READING
from exporter.status.view import Known, view
from exporter.status.words import ago
from tests.golden.example_cards import BUSY, DIVIDED, EVERYTHING, FIRES, FULL, GIB, HOST, NOTHING, NOW, SOURCES


def known(*gpus, **fields):
    rest = {key: fields.pop(key) for key in ("alerts", "observed") if key in fields}
    return view(Known(snapshot=Snapshot(gpus, **fields), version="1", now=NOW, **rest))


def card(gpu, **fields):
    return known(gpu, **fields).cards[0]


def bar(gpu, label):
    (found,) = (item for item in card(gpu).bars if item.label == label)
    return found


def test_each_reading_is_drawn_towards_its_own_limit():
    """A card near its limit would look like one that is far from it."""
    bars = {item.label: item for item in card(BUSY).bars}

    assert (bars["Memory"].value, bars["Memory"].share, bars["Memory"].peak) == ("96.4 %", 0.964, 0.972)
    assert bars["Memory"].notes == ("22.9 GiB of 23.8 GiB",)
    assert (bars["Utilization"].value, bars["Utilization"].share) == ("98.0 %", 0.98)
    assert (bars["Temperature"].share, bars["Temperature"].notes) == (83 / 95, ("12 °C below slowdown",))
    assert (bars["Power"].share, bars["Power"].peak, bars["Power"].notes) == (340 / 350, 1.0, ("of 350 W",))


def test_a_card_without_readings_says_so_and_shows_no_zero():
    """A card that cannot tell its load would look idle."""
    bars = card(Gpu(index="0", uuid="GPU-a", read_at=0)).bars

    assert [item.value for item in bars] == [NO_READING] * 4
    assert [item.share for item in bars] == [None] * 4
    assert card(Gpu(index="0", uuid="GPU-a", read_at=0)).holding is None


@pytest.mark.parametrize("value", [math.nan, None])
def test_what_is_no_number_is_no_reading(value):
    """The page would show "not a number" with a full bar."""
    shown = bar(replace(BUSY, memory_used_ratio=value, memory_used_bytes=None), "Memory")

    assert (shown.value, shown.share) == (NO_READING, None)


def test_a_limit_that_is_not_known_draws_no_bar():
    """A bar without a limit says something that nobody knows."""
    hot = bar(replace(BUSY, temperature_limit_celsius={}, temperature_margin_celsius=None), "Temperature")
    strong = bar(replace(BUSY, power_limit_watts=None), "Power")

    assert (hot.value, hot.share, hot.notes) == ("83 °C", None, ())
    assert (strong.value, strong.share, strong.notes) == ("340 W", None, ())


def test_the_slowdown_limit_follows_from_the_margin_and_the_margin_from_the_limit():
    """Cards that tell only one of the two would show no way to their limit."""
    by_margin = bar(replace(BUSY, temperature_limit_celsius={}), "Temperature")
    by_limit = bar(replace(BUSY, temperature_margin_celsius=None), "Temperature")
    beyond = bar(replace(BUSY, temperature_margin_celsius=0.0), "Temperature")

    assert (by_margin.share, by_margin.limit) == (83 / 95, "95 °C")
    assert by_limit.notes == ("12 °C below slowdown",)
    assert beyond.notes == ("at its slowdown limit",)


def test_a_lost_card_is_said_loudly_with_the_reason_and_nothing_else():
    """The card that matters most would be the one that is easiest to overlook."""
    status = view(EVERYTHING)
    gone = status.cards[2]

    assert gone.lost == "the driver does not find the card (GPU is lost)"
    assert (gone.level, gone.bars, gone.holders, gone.facts) == ("critical", (), (), ())
    assert status.verdict[0].text == "2 of 4 cards answer"
    assert status.level == "critical"
    assert "2 of 4 cards answer" in status.title


def test_the_reason_of_a_lost_card_is_not_said_twice():
    """The same trouble in two places reads as two troubles."""
    assert [note.text for note in view(EVERYTHING).troubles] == ["1 of 4 expected cards cannot be found"]


def test_the_card_takes_the_colour_of_the_alerts_that_fire_for_it_alone():
    """A wall of red cards would hide the one that is meant, or a limit of the page's own contradict the rules."""
    pending = replace(FULL, firing=False)

    assert [item.level for item in known(BUSY, replace(BUSY, uuid="GPU-b"), alerts=FIRES).cards] == ["critical", ""]
    assert card(BUSY, alerts=replace(FIRES, listed=(pending,))).level == ""
    assert card(replace(BUSY, uuid=""), alerts=replace(FIRES, listed=(replace(FULL, uuid=""),))).level == ""
    assert card(BUSY, alerts=replace(FIRES, listed=(replace(FULL, severity="page"),))).level == "warning"


@pytest.mark.parametrize(
    ("alerts", "said", "level"),
    [
        (Alerts(), ["1 card answers"], ""),
        (Alerts(source="x", listed=()), ["1 card answers", "no alert fires"], ""),
        (Alerts(source="x", trouble="refused"), ["1 card answers", "alerts unknown"], "warning"),
        (FIRES, ["1 card answers", "1 alert fires"], "critical"),
        (replace(FIRES, listed=(FULL, FULL)), ["1 card answers", "2 alerts fire"], "critical"),
    ],
)
def test_nobody_knows_is_not_the_same_as_nothing_fires(alerts, said, level):
    """A page that cannot reach the alerter would look calm."""
    status = known(DIVIDED if level != "warning" else replace(DIVIDED, row_remap_pending=0), alerts=alerts)

    assert [note.text for note in status.verdict] == said
    assert status.verdict[-1].level == level


def test_throttling_faults_and_idle_memory_are_said_in_words():
    """A person would have to know NVML's names to see why a card is slow or about to fail."""
    worn = replace(
        BUSY,
        throttled={"hw_thermal": 1.0, "new_reason": 1.0, "sw_thermal": 0.0},
        row_remap_failed=1.0,
        retired_pages_pending=1.0,
        ecc_errors_total={"uncorrected": 2.0},
        idle_memory_held_seconds=3600.0,
        pcie_link_width_ratio=0.5,
    )
    said = {note.text: note.level for note in card(worn).notes}

    assert said == {
        "Slowed down: it is too hot (the hardware acts); new_reason": "",
        "Memory is held with no work done for 1 h 0 min": "",
        "A memory row could not be remapped: the card needs replacing": "critical",
        "Worn out memory waits for a reset of the card to be replaced": "warning",
        "2 memory errors that ECC could not correct since the driver was loaded": "warning",
        "XID error 31 (application): 2 times, last 2 h 0 min ago": "",
        "Only 50.0 % of the PCIe lanes are in use": "",
    }
    assert card(worn).level == "critical"


def test_who_holds_the_memory_is_named_also_where_nobody_can_be_seen():
    """The person who has to stop something would not learn what."""
    busy, divided = card(BUSY), card(DIVIDED)

    assert [(holder.name, holder.held) for holder in busy.holders][:1] == [("train_gpt2.py", "20.2 GiB")]
    assert busy.holders[0].details == (
        *(("pid", "5210"), ("user", "ann"), ("container", "trainer"), ("workload", "gpt")),
        ("utilization", "90.0 %"),
    )
    assert (busy.holders[2].name, busy.holders[2].details) == ("(others)", (("", "beyond the 2 largest"),))
    assert busy.holders[3].name == "no visible process"
    assert (busy.holding.title, busy.holding.brief) == ("2 processes", "train_gpt2.py 20.2 GiB and others")
    assert divided.holders[0].details == (("", "the driver's process ids cannot be seen from here"),)
    assert (divided.holding.title, divided.holding.brief) == ("No visible process", "9.0 GiB")


def test_memory_of_a_process_that_the_driver_does_not_tell_is_no_reading():
    """A process whose memory is not known would seem to hold none."""
    shown = card(replace(DIVIDED, memory_unaccounted_bytes=None, processes=(GpuProcess(7, "x"),)))

    assert shown.holders[0].held == NO_READING
    assert card(replace(DIVIDED, memory_unaccounted_bytes=0.0, processes_visible=1)).holding.title == (
        "No process is on the card"
    )


def test_budgets_and_mig_devices_are_shown_where_there_are_any():
    """Who divides a card would not see how full the parts are."""
    busy, divided = card(BUSY), card(DIVIDED)

    assert [(item.label, item.value, item.notes) for item in busy.budgets] == [
        ("gpt", "106.3 %", ("20.2 GiB of 19.0 GiB",))
    ]
    assert [(item.label, item.value, item.notes) for item in divided.instances] == [
        ("MIG 1/0 1g.5gb", "80.0 %", ("4.0 GiB of 5.0 GiB",))
    ]
    assert card(replace(DIVIDED, mig_enabled=0.0)).instances == ()


def test_the_host_is_shown_and_its_absence_too():
    """A full disk or a lost host would not be seen."""
    bars = {item.label: item for item in known(host=HOST).host}

    assert bars["CPU"].notes == ("16 CPUs", "load 5.5 5.2 4.9")
    assert (bars["Memory"].value, bars["Memory"].notes) == ("35.9 %", ("23.0 GiB of 64.0 GiB",))
    assert (bars["Files at /"].value, bars["Files at /"].notes) == ("61.2 %", ("388.0 GiB free of 1000.0 GiB",))
    assert "Swap" not in bars
    assert [item.value for item in known(host=Host(read_at=0)).host] == [NO_READING, NO_READING]
    assert known().host == ()


def test_every_source_says_how_old_its_reading_is():
    """Old numbers would pass for new ones."""
    status = known(sources=(*SOURCES, SourceHealth("x", up=False, read_at=0, duration_seconds=0, succeeded_at=None)))

    assert [item.age for item in status.sources] == [
        *("read 0.4 s ago, took 2 ms", "read 0.5 s ago, took 1 ms"),
        *("read 6 min 40 s ago", "never read"),
    ]
    assert status.age == "x never read"
    assert known(sources=SOURCES).age == "nvml/2 read 6 min 40 s ago, the others since"
    assert known().age == "nothing is read"


def test_a_source_that_gives_nothing_is_a_trouble_in_its_own_words():
    """A person without a driver would see an empty page and no reason."""
    status = view(NOTHING)

    assert [(note.text, note.level) for note in status.troubles] == [("nvml: no NVIDIA driver found", "warning")]
    assert [note.text for note in status.verdict] == ["no card is known", "alerts unknown"]
    fresh = SourceHealth("host", up=False, read_at=0, duration_seconds=0, succeeded_at=None, detail="not read yet")
    assert [(note.text, note.level) for note in known(sources=(fresh,)).troubles] == [("host: not read yet", "")]
    assert [note.text for note in known().troubles] == ["Nothing has been read yet"]


def test_long_names_are_cut_where_they_would_push_everything_else_away():
    """One name could fill the page."""
    long = "x" * 500
    shown = card(
        replace(BUSY, info={"name": long}, processes=(GpuProcess(1, long, memory_bytes=GIB),)),
        alerts=replace(FIRES, listed=(replace(FULL, name=long),)),
    )

    assert len(shown.name) < 50
    assert len(shown.holding.brief) < 50
    assert len(shown.alerts[0].text) < 60
    assert shown.holders[0].name == long


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-5.0, "0.0 s ago"), (0.44, "0.4 s ago"), (9.94, "9.9 s ago"), (59.7, "1 min 0 s ago")),
        *((math.inf, "at an unknown time"), (math.nan, "0.0 s ago")),
    ],
)
def test_an_age_is_short_and_never_breaks_the_page(seconds, said):
    """One odd time stamp would take the whole page away."""
    assert ago(seconds) == said


def test_an_alert_of_another_box_colours_no_card_here():
    """A card would be red for its namesake elsewhere."""
    elsewhere = Alert(name="A", severity="critical", gpu="0", uuid="GPU-elsewhere", instance="other:9400")

    assert card(replace(lost(BUSY), up=True), alerts=replace(FIRES, listed=(elsewhere,))).level == ""
