"""The real exporter under clients that are slow, silent or malformed, beside one that is not."""

from tests.e2e.running import exporter
from tests.perf.exporter_abuse import Load, measure

MIB = 2**20
LONGER_THAN_ANY_ANSWER_MAY_TAKE = 34.0


def test_a_scraper_is_served_while_hundreds_abuse_the_page(tmp_path):
    """Slow or hostile clients would blind the monitoring, fill the exporter's memory or its log."""
    load = Load(seconds=LONGER_THAN_ANY_ANSWER_MAY_TAKE, clients=0, readers=200, senders=100, malformed=600)
    with exporter(tmp_path, None, "--demo") as running:
        result = measure(running, load, alone=1)

    assert result.beside.errors == []
    assert len(result.beside.times) > 50
    assert result.abused.slow_readers_cut >= 200
    assert result.abused.slow_senders_cut >= 100
    assert result.abused.malformed == 600
    assert result.rss_highest - result.rss_before < 40 * MIB
    assert result.log_lines <= 10
