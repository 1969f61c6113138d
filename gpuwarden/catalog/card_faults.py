"""A card's faults and its links to the rest of the machine."""

from gpuwarden.catalog.card_row import of_card, total_of_card
from gpuwarden.catalog.row import Metric

_AMPERE = "Ampere and later"
_ECC = "with ECC"
_REMAPPING = "with ECC, Ampere and later"
_RETIRING = "with ECC, before Ampere"
_NVLINK = "with NVLink"

FAULTS: tuple[Metric, ...] = (
    total_of_card(
        "xid_errors_total",
        "count",
        "XID errors that the driver reported while we watched.",
        *("xid", "class"),
        by="EventSetWait_v2",
    ),
    of_card(
        "xid_last_timestamp_seconds",
        "timestamp",
        "When this XID was last reported.",
        *("xid", "class"),
        by="EventSetWait_v2",
    ),
    of_card("ecc_enabled", "bool", "1 while memory errors are found and corrected.", by="field 1", cards=_ECC),
    total_of_card(
        "ecc_errors_total",
        "count",
        "Memory errors found by ECC since the driver was loaded.",
        "severity",
        by="fields 3 and 4",
        cards=_ECC,
    ),
    total_of_card(
        "ecc_lifetime_errors_total",
        "count",
        "Memory errors found by ECC in the card's life.",
        "severity",
        by="fields 5 and 6",
        cards=_ECC,
    ),
    of_card(
        "remapped_rows",
        "count",
        "Memory rows remapped after errors.",
        "severity",
        by="DeviceGetRemappedRows",
        cards=_REMAPPING,
    ),
    of_card(
        "row_remap_pending",
        "bool",
        "1 when a row waits for a reset of the card to be remapped.",
        by="DeviceGetRemappedRows",
        cards=_REMAPPING,
    ),
    of_card(
        "row_remap_failed",
        "bool",
        "1 when a row could not be remapped: the card needs replacing.",
        by="DeviceGetRemappedRows",
        cards=_REMAPPING,
    ),
    of_card(
        "retired_pages",
        "count",
        "Memory pages retired after errors.",
        "cause",
        by="fields 29 and 30",
        cards=_RETIRING,
    ),
    of_card(
        "retired_pages_pending",
        "bool",
        "1 when a page waits for a reset of the card to be retired.",
        by="field 31",
        cards=_RETIRING,
    ),
)


LINKS: tuple[Metric, ...] = (
    total_of_card("pcie_received_bytes_total", "bytes", "Bytes received over PCIe.", by="field 198", cards=_AMPERE),
    total_of_card("pcie_transmitted_bytes_total", "bytes", "Bytes sent over PCIe.", by="field 197", cards=_AMPERE),
    total_of_card(
        "pcie_replays_total", "count", "PCIe packets sent again after an error.", by="DeviceGetPcieReplayCounter"
    ),
    of_card(
        "pcie_link_width_ratio",
        "ratio",
        "Lanes in use over the lanes that card and slot can use.",
        by="DeviceGetCurrPcieLinkWidth, DeviceGetMaxPcieLinkWidth",
    ),
    of_card(
        "pcie_link_width_working_ratio",
        "ratio",
        "The widest that the link was while the card worked, of the last ten minutes; an idle one may narrow its link.",
        by="the link's width where utilization is above 0 at two readings in a row",
        cards="all but in MIG mode",
    ),
    of_card(
        "pcie_link_generation",
        "count",
        "PCIe generation in use; falls when the card idles.",
        by="DeviceGetCurrPcieLinkGeneration",
    ),
    total_of_card(
        "nvlink_received_bytes_total",
        "bytes",
        "Bytes received over all NVLinks.",
        by="field 139, else 204",
        cards=_NVLINK,
    ),
    total_of_card(
        "nvlink_transmitted_bytes_total",
        "bytes",
        "Bytes sent over all NVLinks.",
        by="field 138, else 202",
        cards=_NVLINK,
    ),
    total_of_card(
        "nvlink_errors_total",
        "count",
        "Errors on all NVLinks.",
        "error",
        by="fields 38, 45, 52 and 59",
        cards=_NVLINK,
    ),
)
