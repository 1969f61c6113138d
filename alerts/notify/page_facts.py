"""What a target's page says beside the readings: who it is, whether it is real, who holds the memory. Pure.

Texts from outside (labels of any exporter, process names) are made harmless here: control and direction characters go,
long ones are cut.
"""

import math
from collections.abc import Iterator

from alerts.clean_text import one_line
from alerts.notify.notification import Holder
from alerts.series import Scrape

MOST_HOLDERS = 20
LONGEST_LABEL = 200

IDENTITY_METRICS = frozenset({"host_info", "gpuwarden_exporter_simulated"})
"""What says who a target is: true of it also while it does not answer."""

EVIDENCE_METRICS = IDENTITY_METRICS | {"gpu_process_memory_used_bytes"}
"""What mails need besides the rules' own metrics."""

_HOLDER_LABELS = ("pid", "process", "user", "container")


def host_of(scrape: Scrape | None) -> str:
    """The host's name, empty where nothing says it."""
    for sample in scrape.samples.get("host_info", ()) if scrape else ():
        return one_line(dict(sample.labels).get("hostname", ""), LONGEST_LABEL)
    return ""


def is_simulated(scrape: Scrape | None) -> bool:
    """Whether the page says that its readings are simulated."""
    samples = scrape.samples.get("gpuwarden_exporter_simulated", ()) if scrape else ()
    return any(sample.value == 1 for sample in samples)


def holders_of(scrape: Scrape | None, uuid: str) -> Iterator[Holder]:
    """Who holds the memory of one card, the largest first; nobody where ``uuid`` is empty."""
    samples = scrape.samples.get("gpu_process_memory_used_bytes", ()) if scrape and uuid else ()
    held = [(sample.value, dict(sample.labels)) for sample in samples if math.isfinite(sample.value)]
    mine = [(size, labels) for size, labels in held if labels.get("uuid") == uuid]
    for size, labels in sorted(mine, key=lambda item: -item[0])[:MOST_HOLDERS]:
        words = {name: one_line(labels.get(name, ""), LONGEST_LABEL) for name in _HOLDER_LABELS}
        yield Holder(memory_bytes=size, **words)
