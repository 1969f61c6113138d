"""How exporter and alerter themselves fare, and what a scraper adds."""

from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit


def _own(part: str, name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"gpuwarden_{part}_{name}", kind, unit, labels, text)


EXPORTER_ROWS: tuple[Metric, ...] = (
    _own("exporter", "info", "count", "Description of this exporter.", "version", kind="info"),
    _own("exporter", "simulated", "bool", "1 when every reading on this page is simulated."),
    _own("exporter", "source_up", "bool", "1 while the source's last reading is fresh and succeeded.", "source"),
    _own("exporter", "source_duration_seconds", "seconds", "How long the source's last reading took.", "source"),
    _own("exporter", "source_last_success_timestamp_seconds", "timestamp", "Last good reading.", "source"),
    _own("exporter", "gpus_expected", "count", "Cards that should be here: as set, else as many as are remembered."),
    _own("exporter", "gpus_missing", "count", "Expected cards that do not answer."),
    Metric("gpu_peak_window_seconds", "gauge", "seconds", (), "Length of the trailing window of the peaks."),
    Metric("process_start_time_seconds", "gauge", "timestamp", (), "When this exporter was started."),
    Metric("process_cpu_seconds_total", "counter", "seconds", (), "Processor time that this exporter has used."),
    Metric("process_resident_memory_bytes", "gauge", "bytes", (), "Main memory that this exporter holds."),
)

ALERTER_ROWS: tuple[Metric, ...] = (
    _own("alerter", "info", "count", "Description of this alerter.", "version", kind="info"),
    _own("alerter", "alerts", "count", "Alerts by rule and state.", "alertname", "state"),
    _own("alerter", "target_up", "bool", "1 while the target's last scrape succeeded.", "target"),
    _own("alerter", "last_round_timestamp_seconds", "timestamp", "When rules were last judged."),
    _own("alerter", "round_duration_seconds", "seconds", "How long the last round took."),
    _own("alerter", "notifications_total", "count", "Notifications by reason.", "reason", kind="counter"),
    _own(
        "alerter",
        "notifications_suppressed_total",
        "count",
        "Alerts that fired or ended and were told nobody, by reason.",
        "reason",
        kind="counter",
    ),
    _own(
        "alerter",
        "notifications_held_total",
        "count",
        "Notifications that are told later than they were decided, by reason: quiet (quiet hours).",
        "reason",
        kind="counter",
    ),
    _own("alerter", "messages_composed_total", "count", "Mails by kind: single or digest.", "kind", kind="counter"),
    _own("alerter", "outbox_messages", "count", "Deliveries in the outbox by state.", "state"),
    _own("alerter", "outbox_oldest_timestamp_seconds", "timestamp", "When the oldest waiting mail was queued."),
    _own("alerter", "attempts_total", "count", "Delivery attempts by outcome.", "outcome", kind="counter"),
)

SCRAPE_ROWS: tuple[Metric, ...] = (
    Metric("up", "gauge", "bool", (), "1 when the last scrape of the target succeeded."),
    Metric("scrape_duration_seconds", "gauge", "seconds", (), "How long the last scrape of the target took."),
)
"""Written by whoever scrapes, with the target's job and instance, as Prometheus does."""
