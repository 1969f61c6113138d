"""Pure: a driver's number in a base unit, or None where it is no reading.

Drivers are known to answer with sentinels (0xFFFFFFFF, 9223372036854775794) and call that a success.
"""

_SENTINEL_32 = 0xFFFF_FFF0
_LARGEST_COUNT = 2**62


def within(value: float, low: float, high: float) -> float | None:
    """``value``, or None when it lies outside ``low..high`` and so is no reading."""
    return float(value) if low <= value <= high else None


def percent(value: float, highest: float = 100) -> float | None:
    """0 to ``highest`` percent as a ratio."""
    return value / 100 if 0 <= value <= highest else None


def celsius(value: float) -> float | None:
    """A temperature that silicon can have."""
    return within(value, -50, 200)


def megahertz(value: float) -> float | None:
    """A clock in hertz."""
    return value * 1e6 if 0 <= value <= 20_000 else None  # noqa: PLR2004 -- 20 GHz


def watts(milliwatts: float) -> float | None:
    """Board power; 10 kW is beyond any board and below the sentinel."""
    return milliwatts / 1000 if 0 <= milliwatts <= 10_000_000 else None  # noqa: PLR2004 -- as the docstring says


def joules(millijoules: float) -> float | None:
    """Energy; 2**53 mJ is 285 years at a kilowatt."""
    return millijoules / 1000 if 0 <= millijoules <= 2**53 else None


def flag(value: float) -> float | None:
    """0 or 1."""
    return within(value, 0, 1)


def count(value: float) -> float | None:
    """A number of things that a 32-bit word holds."""
    return within(value, 0, _SENTINEL_32)


def total(value: float) -> float | None:
    """A counter that a 64-bit word holds."""
    return within(value, 0, _LARGEST_COUNT)


def kibibytes(value: float) -> float | None:
    """A counter of KiB as bytes."""
    return None if total(value) is None else value * 1024.0


def nanoseconds(value: float) -> float | None:
    """A counter of nanoseconds as seconds."""
    return None if total(value) is None else value / 1e9
