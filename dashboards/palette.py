"""The wall's colours: Okabe and Ito's set, apart for every kind of colour vision; a word always comes along.

A card that is well has a dark neutral tile, so that colour itself means "look here". Grafana writes in black on what is
brighter than 180 of 255, so orange and purple are a little lighter than theirs.
"""

from alerts.notify.notification import Severity

CALM = "#22303C"
DIM = "#181B1F"
SILENT = "#E8A5CC"
SIMULATED = "#F0E442"
LINE_BASE = "transparent"
BESIDE_LINES = "#FFFFFF"
BY_SEVERITY: dict[Severity, str] = {"critical": "#D55E00", "warning": "#FFB30F", "info": "#56B4E9"}
CRITICAL = BY_SEVERITY["critical"]

SERIES = ("#56B4E9", "#F0E442", "#009E73", "#CC79A7", "#FFFFFF", "#0072B2", "#A6761D", "#999999")
"""Lines of a chart by the card's index, so that a card keeps its colour; orange and red are left to the limits."""

_RANKS: dict[Severity, int] = {"info": 1, "warning": 2, "critical": 3}


def rank(severity: Severity) -> int:
    """Higher is graver."""
    return _RANKS[severity]


def worst(*severities: Severity) -> Severity:
    """The gravest of at least one."""
    return max(severities, key=rank)
