"""Whether this machine runs on its battery, from the kernel's power supplies.

Each supply is a folder with a file ``type`` (Documentation/ABI/testing/sysfs-class-power). The machine is on its
battery when one of its own discharges and no other supply is ``online``. The battery of a mouse or a headset has the
scope Device and says nothing of the machine; a UPS that reports here counts as a battery.
"""

from pathlib import Path

POWER_SUPPLIES = "sys/class/power_supply"
"""Below the root of the host."""
_BATTERIES = frozenset({"Battery", "UPS"})


def on_battery(supplies: Path) -> bool:
    """False, too, where nothing is known."""
    try:
        folders = list(supplies.iterdir())
    except OSError:
        return False
    discharging = False
    for folder in folders:
        if _word(folder / "type") in _BATTERIES:
            own = _word(folder / "scope") != "Device"
            discharging = discharging or (own and _word(folder / "status") == "Discharging")
        elif _word(folder / "online") not in {"", "0"}:
            return False
    return discharging


def _word(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
