"""What a page says of the probe."""

from prometheus_client.parser import text_string_to_metric_families


def probe_series(text: str) -> list[tuple[str, dict[str, str], float]]:
    """All that is the probe's: name, labels, value."""
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("model_")
        and not sample.name.endswith("_bucket")
        and (sample.name.startswith("model_probe_") or sample.labels.get("source") == "probe")
    ]


def runs(found: list[tuple[str, dict[str, str], float]]) -> dict[str, float]:
    """How many runs came to what."""
    return _sums(found, "model_requests_total", "outcome")


def skips(found: list[tuple[str, dict[str, str], float]]) -> dict[str, float]:
    """How many were skipped, by reason; those that never happened are left out."""
    return _sums(found, "model_probe_skipped_total", "reason")


def _sums(found, name, label) -> dict[str, float]:
    sums: dict[str, float] = {}
    for each, labels, value in found:
        if each == name and value:
            sums[labels[label]] = sums.get(labels[label], 0.0) + value
    return sums
