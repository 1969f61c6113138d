"""How exporter and alerter themselves fare, and what a scraper adds."""

from gpuwarden.catalog.row import Kind, Metric
from gpuwarden.units import Unit


def _own(
    part: str, name: str, unit: Unit, text: str, *labels: str, kind: Kind = "gauge", buckets: tuple[float, ...] = ()
) -> Metric:
    return Metric(f"gpuwarden_{part}_{name}", kind, unit, labels, text, buckets)


DELIVERY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""Bounds of the time from a decision to the mail server's acceptance: from at once to an outage of a day."""


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
    _own("alerter", "round_lag_seconds", "seconds", "How much later than planned the last round began."),
    _own("alerter", "rounds_missed_total", "count", "Rounds that fell out behind a long one.", kind="counter"),
    _own("alerter", "last_post_timestamp_seconds", "timestamp", "When Alertmanager's last post was taken."),
    _own("alerter", "last_watchdog_timestamp_seconds", "timestamp", "When Alertmanager last posted the Watchdog."),
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
    _own(
        "alerter",
        "messages_composed_total",
        "count",
        "Mails by kind: single, digest or report.",
        "kind",
        kind="counter",
    ),
    _own("alerter", "notifications_uncomposed", "count", "Notifications that were decided and have no mail yet."),
    _own("alerter", "outbox_messages", "count", "Deliveries in the outbox by state.", "state"),
    _own("alerter", "outbox_oldest_timestamp_seconds", "timestamp", "When the oldest waiting mail was queued."),
    _own("alerter", "attempts_total", "count", "Delivery attempts by outcome.", "outcome", kind="counter"),
    _own(
        "alerter",
        "delivery_duration_seconds",
        "seconds",
        "From the decision to the mail server's acceptance, of each accepted delivery.",
        kind="histogram",
        buckets=DELIVERY_SECONDS,
    ),
    _own("alerter", "last_accepted_timestamp_seconds", "timestamp", "When a mail was last accepted."),
    _own(
        "alerter",
        "heartbeats_total",
        "count",
        "Calls of the heartbeat URL by outcome, and calls that were withheld by reason.",
        "outcome",
        kind="counter",
    ),
    _own("alerter", "last_heartbeat_timestamp_seconds", "timestamp", "Last heartbeat that was answered with success."),
    _own("alerter", "state_bytes", "bytes", "Size of the state file."),
    _own("alerter", "state_used_ratio", "ratio", "Part in use of the most that the state file may grow to."),
    _own("alerter", "state_unreadable_rows", "count", "Rows of the state file that cannot be read and are left out."),
    _own("alerter", "config_last_reload_successful", "bool", "1 while the last reload succeeded, or none was tried."),
    _own(
        "alerter",
        "config_last_reload_success_timestamp_seconds",
        "timestamp",
        "Last reload that succeeded, or the start.",
    ),
)

SCRAPE_ROWS: tuple[Metric, ...] = (
    Metric("up", "gauge", "bool", (), "1 when the last scrape of the target succeeded."),
    Metric("scrape_duration_seconds", "gauge", "seconds", (), "How long the last scrape of the target took."),
)
"""Written by whoever scrapes, with the target's job and instance, as Prometheus does."""
