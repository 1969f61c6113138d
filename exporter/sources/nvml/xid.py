"""Pure: what an XID error number says about where to look, after NVIDIA's "Xid Errors" deployment guide.

``application``: a program did something that it must not, and the card is well. ``driver``: the driver or the card's
firmware lost its way; a reset or another version helps. ``hardware``: memory, link, power or the card itself. What the
guide leaves open, or what is newer than this table, is ``unknown``.
"""

APPLICATION = frozenset({13, 31, 43, 45, 68, 69})
DRIVER = frozenset({8, 11, 12, 25, 32, 37, 38, 42, 44, 47, 56, 59, 61, 62, 66, 67, 80, 105, 109, 119, 120, 123})
HARDWARE = frozenset(
    {48, 54, 57, 58, 60, 63, 64, 65, 74, 79, 81, 92, 94, 95, 110, 121, 122, 136, 137, 140, 143, *range(144, 151), 160}
)
ALWAYS_SHOWN = (48, 62, 64, 74, 79, 95, 119, 120)
"""Counted from 0 on, so that ``increase()`` sees the first one too: those that end the work on a card."""


def class_of(xid: int) -> str:
    """The value of the label ``class``."""
    known = {"application": APPLICATION, "driver": DRIVER, "hardware": HARDWARE}
    return next((name for name, numbers in known.items() if xid in numbers), "unknown")
