"""The vocabulary: every series that gpuwarden publishes, with its type, unit, labels and help.

Exporter, rules, dashboards and the reference pages read this one table; a name that is not here does not exist.
The name is the one on the text page: counters end in ``_total``, descriptions in ``_info``.
"""

from gpuwarden.catalog.card_holders import PEAK_WINDOW_SECONDS, PEAKS
from gpuwarden.catalog.cards import GPU_ROWS
from gpuwarden.catalog.host import HOST_ROWS
from gpuwarden.catalog.models import MODEL_ROWS
from gpuwarden.catalog.own import ALERTER_ROWS, DELIVERY_SECONDS, EXPORTER_ROWS, SCRAPE_ROWS
from gpuwarden.catalog.row import Kind, Metric

__all__ = [
    "ALERTER_ROWS",
    "CATALOG",
    "DELIVERY_SECONDS",
    "EXPORTER_ROWS",
    "GPU_ROWS",
    "HOST_ROWS",
    "MODEL_ROWS",
    "OUR_PREFIXES",
    "PEAKS",
    "PEAK_WINDOW_SECONDS",
    "SCRAPE_ROWS",
    "Kind",
    "Metric",
]

OUR_PREFIXES = ("gpu_", "host_", "model_", "gpuwarden_")

CATALOG: dict[str, Metric] = {
    row.name: row for row in (*GPU_ROWS, *HOST_ROWS, *MODEL_ROWS, *EXPORTER_ROWS, *ALERTER_ROWS, *SCRAPE_ROWS)
}
