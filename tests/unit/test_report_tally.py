import math
from dataclasses import replace
from types import MappingProxyType

import pytest

from alerts.report import tally
from alerts.report.from_tallies import readings_of
from alerts.report.records import _read_sheet, dump_sheet
from alerts.report.schedule import Period
from alerts.report.tally import Tally, merged
from alerts.series import Sample, Scrape, label_set

START = 1_780_002_000.0  # a full hour
CARD = {"job": "gpuwarden", "instance": "a:9400", "gpu": "0", "uuid": "u"}
MODEL = {"job": "gpuwarden", "instance": "a:9400", "model": "gpt", "source": "app", "operation": "generate"}


def sample(value, **labels):
    return Sample(label_set(CARD | labels), value)


def scrape(*, error=None, **metrics):
    """A visit that found these values of one card; ``latency`` is the counts of a histogram, by bound."""
    latency = metrics.pop("latency", {})
    samples = {name: (sample(value),) for name, value in metrics.items()}
    samples["host_info"] = (sample(1.0, hostname="gpubox"),)
    samples["model_request_duration_seconds_bucket"] = tuple(
        Sample(label_set(MODEL | {"le": bound}), count) for bound, count in latency.items()
    )
    return Scrape("http://a", "gpuwarden", "a:9400", 0.0, error, MappingProxyType(samples))


def watch(*visits, every=5.0, start=START, into=None, offset=0.0):
    """The tally after rounds at this pace, and the sheets of hours that ended."""
    into = Tally() if into is None else into
    ended = [into.take([visit], start + every * number, 2 * every, offset) for number, visit in enumerate(visits)]
    return into, [sheet for sheet in ended if sheet]


def card(*sheets):
    """The only card's facts."""
    (found,) = readings_of(sheets, Period(START, START + 86_400)).cards
    return found


def test_peaks_means_and_energy_are_added_up():
    """The report would say of a hot, busy card that it was cool and idle."""
    rounds = [
        scrape(
            gpu_memory_used_ratio=0.5,
            gpu_memory_used_peak_ratio=0.9,
            gpu_temperature_celsius=70.0,
            gpu_power_peak_watts=100.0 + number,
            gpu_utilization_ratio=number / 10,
            gpu_energy_joules_total=1000.0 + 500 * number,
        )
        for number in range(11)
    ]
    found = card(watch(*rounds)[0].sheet)
    assert (found.memory_ratio, found.celsius, found.watts) == (0.9, 70.0, 110.0)
    assert found.utilization == pytest.approx(0.55)
    assert found.joules == 5000
    assert found.host == "gpubox"


def test_a_counter_that_begins_anew_goes_on():
    """A reboot of the machine would take back the energy of a week, or charge it twice."""
    rounds = [scrape(gpu_energy_joules_total=value) for value in (900.0, 1000.0, 50.0, 80.0)]
    assert card(watch(*rounds)[0].sheet).joules == 180


def test_energy_of_a_restart_is_counted():
    """What a card used while the alerter was updated would be missing from the bill."""
    before, _ = watch(scrape(gpu_energy_joules_total=100.0), scrape(gpu_energy_joules_total=200.0))
    restored = Tally(_read_sheet(dump_sheet(before.sheet)))
    after, _ = watch(scrape(gpu_energy_joules_total=700.0), start=START + 600, into=restored)
    assert card(after.sheet).joules == 600


def test_hours_are_sheets_that_add_up_to_the_same():
    """The energy or the answers at the turn of each hour would be lost."""
    rounds = [
        scrape(gpu_energy_joules_total=100.0 * number, gpu_utilization_ratio=0.5, latency={"1": number, "+Inf": number})
        for number in range(200)
    ]
    found, ended = watch(*rounds, every=60.0, start=START + 1800)
    sheets = [*ended, found.sheet]
    assert [sheet.begin for sheet in sheets] == [START, START + 3600, START + 7200, START + 10_800]
    assert card(*sheets).joules == 19_900
    readings = readings_of(sheets, Period(START + 1800, START + 1800 + 200 * 60))
    assert readings.models[0].count == 199
    assert readings.missing == ()
    assert merged(sheets).watched == 199 * 60


def test_hours_begin_where_reports_do():
    """A report at half past eight would tell of nine o'clock."""
    found, ended = watch(scrape(), scrape(), every=60.0, start=START + 1770, offset=1800.0)
    assert [sheet.begin for sheet in (*ended, found.sheet)] == [START - 1800, START + 1800]


def test_time_that_nobody_watched_is_said():
    """A report on three hours would pass for one on the whole day."""
    first, _ = watch(*[scrape(gpu_utilization_ratio=1.0)] * 10)
    second, _ = watch(*[scrape(gpu_utilization_ratio=1.0)] * 10, start=START + 40_000)
    sheets = [first.sheet, second.sheet]
    missing = " ".join(readings_of(sheets, Period(START - 7200, START + 86_400)).missing)
    for words in ("There are no readings before", "There are no readings after", "in between nobody read"):
        assert words in missing
    assert readings_of([], Period(START, START + 1)).missing == (
        "No readings of the cards were written down in this time; a running alerter does so every minute.",
    )


def test_latencies_come_from_the_counts_of_the_period():
    """Yesterday's slow answers would stand in today's report."""
    before = {"0.1": 0.0, "1": 1000.0, "+Inf": 1000.0}
    after = {"0.1": 80.0, "1": 1100.0, "+Inf": 1100.0}
    found, _ = watch(scrape(latency=before), scrape(latency=after))
    (model,) = readings_of([found.sheet], Period(START, START + 10)).models
    assert (model.model, model.what, model.count) == ("gpt", "app generate", 100)
    assert 0 < model.p50 < 0.1 < model.p90 < 1


def test_first_tokens_are_told_beside_whole_answers():
    """Who talks with a model would not learn that it has become slow to begin."""
    rounds = []
    for number in range(2):
        page = scrape(latency={"1": 5.0 * number, "+Inf": 5.0 * number})
        labels = {key: value for key, value in MODEL.items() if key != "operation"}
        first = tuple(Sample(label_set(labels | {"le": bound}), 9.0 * number) for bound in ("0.5", "+Inf"))
        rounds.append(replace(page, samples={**page.samples, "model_time_to_first_token_seconds_bucket": first}))
    models = readings_of([watch(*rounds)[0].sheet], Period(START, START + 10)).models
    assert [(model.what, model.count) for model in models] == [("app first token", 9), ("app generate", 5)]


def test_what_is_not_a_number_or_not_there_is_left_out():
    """One odd reading would spoil the sum of a week."""
    found, _ = watch(
        scrape(gpu_energy_joules_total=100.0, gpu_temperature_celsius=math.nan),
        scrape(error="gone"),
        scrape(gpu_energy_joules_total=math.inf),
        scrape(gpu_energy_joules_total=130.0),
    )
    assert (card(found.sheet).joules, card(found.sheet).celsius) == (30, None)


def test_it_stays_bounded(monkeypatch):
    """A page with endless labels would fill the memory of the alerter."""
    monkeypatch.setattr(tally, "MOST_CARDS", 3)
    monkeypatch.setattr(tally, "_MOST_COUNTERS", 4)
    many = tuple(Sample(label_set(CARD | {"uuid": f"u{number}"}), 1.0) for number in range(9))
    page = replace(scrape(), samples=MappingProxyType({"gpu_power_watts": many}))
    found, _ = watch(page, page)
    assert len(found.sheet.cards) == 3
    crowd, _ = watch(*[scrape(latency={str(bound): 1.0 for bound in range(9)})] * 2)
    assert crowd.sheet.is_full
    assert len(crowd._counts) == 4
    assert "some are left out" in readings_of([found.sheet], Period(START, START + 10)).missing[-1]


def test_a_sheet_survives_and_a_damaged_one_is_nobodys_harm():
    """A restart would lose the hour, or a damaged row every report after it."""
    found, _ = watch(
        scrape(gpu_power_watts=1.5, latency={"1": 1.0, "+Inf": 1.0}), scrape(latency={"1": 2.0, "+Inf": 2.0})
    )
    assert _read_sheet(dump_sheet(found.sheet)) == found.sheet
    for text in ("", "{", "{}", "[]", dump_sheet(found.sheet).replace('"cards"', '"card"')):
        assert _read_sheet(text) is None
