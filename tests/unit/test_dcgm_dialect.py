"""Each DCGM name against what dcgm-exporter 4.8 publishes for the same card."""

import re
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.dialects import dcgm
from exporter.latency.observations import Observations
from exporter.page import PageMaker
from exporter.snapshot import Gpu, Host, Snapshot

MIB = 2**20
INFO = {"name": "NVIDIA GeForce RTX 3060", "pci_bus_id": "00000000:01:00.0", "driver_version": "580.95.05"}
CARD = Gpu(
    index="0",
    uuid="GPU-a",
    read_at=100.0,
    info=INFO,
    clock_hertz={"sm": 1.807e9, "memory": 7.501e9},
    memory_temperature_celsius=71.0,
    temperature_celsius=64.0,
    power_watts=123.456,
    energy_joules_total=5_000.123,
    pcie_replays_total=3.0,
    utilization_ratio=0.57,
    memory_controller_utilization_ratio=0.29,
    encoder_utilization_ratio=0.07,
    decoder_utilization_ratio=0.0,
    xid_errors_total={("31", "application"): 2.0, ("79", "hardware"): 1.0},
    xid_last_timestamp_seconds={("31", "application"): 2000.0, ("79", "hardware"): 1000.0},
    memory_free_bytes=8_000.9 * MIB,
    memory_used_bytes=4_000.2 * MIB,
    memory_reserved_bytes=236.0 * MIB,
    nvlink_received_bytes_total=2048.0,
    nvlink_transmitted_bytes_total=1024.0,
    vgpu_licensed=1.0,
    remapped_rows={"correctable": 4.0, "uncorrectable": 5.0},
    row_remap_failed=1.0,
    activity_ratio={"graphics": 0.9, "tensor": 0.4, "dram": 0.6},
)
EXPECTED = {
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", 1807.0),
    "DCGM_FI_DEV_MEM_CLOCK": ("gauge", 7501.0),
    "DCGM_FI_DEV_MEMORY_TEMP": ("gauge", 71.0),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", 64.0),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", 123.456),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", 5_000_123.0),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": ("counter", 3.0),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", 57.0),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", 29.0),
    "DCGM_FI_DEV_ENC_UTIL": ("gauge", 7.0),
    "DCGM_FI_DEV_DEC_UTIL": ("gauge", 0.0),
    "DCGM_FI_DEV_XID_ERRORS": ("gauge", 31.0),
    "DCGM_FI_DEV_FB_FREE": ("gauge", 8000.0),
    "DCGM_FI_DEV_FB_USED": ("gauge", 4000.0),
    "DCGM_FI_DEV_FB_RESERVED": ("gauge", 236.0),
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": ("counter", 3.0),
    "DCGM_FI_DEV_VGPU_LICENSE_STATUS": ("gauge", 1.0),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": ("counter", 5.0),
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": ("counter", 4.0),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": ("gauge", 1.0),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("gauge", 0.9),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", 0.4),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("gauge", 0.6),
}


def snapshot(*gpus):
    return Snapshot(gpus, Host(read_at=100.0, info={"hostname": "office-box"}))


def page(*gpus):
    found = snapshot(*gpus)
    maker = PageMaker(
        lambda: found, Observations(), interval=1, version="1", dialects=["dcgm-4.8"], monotonic=lambda: 100.0
    )
    return maker.page()


def test_every_field_is_tried():
    """A field that is added or renamed by accident would break a dashboard that was bought with the rack."""
    assert [row.name for row in dcgm.ROWS] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_field_has_its_type_unit_and_value(name):
    """A dashboard made for DCGM would draw a thousandth of the truth."""
    (family,) = [family for family in dcgm.families(snapshot(CARD)) if family.row.name == name]
    kind, value = EXPECTED[name]
    assert (family.row.kind, [found for _, found in family.samples]) == (kind, [value])


def test_labels_are_those_of_that_version():
    """Alerts that group by UUID, Hostname or modelName would match nothing."""
    (family,) = [family for family in parse_text(page(CARD).text.decode()) if family.name == "DCGM_FI_DEV_GPU_TEMP"]
    assert family.samples[0].labels == {
        "gpu": "0",
        "UUID": "GPU-a",
        "pci_bus_id": "00000000:01:00.0",
        "device": "nvidia0",
        "modelName": "NVIDIA GeForce RTX 3060",
        "Hostname": "office-box",
        "DCGM_FI_DRIVER_VERSION": "580.95.05",
    }


def test_what_a_card_does_not_supply_has_no_sample():
    """A GeForce would have a memory at 0 degrees."""
    bare = Gpu(index="0", uuid="GPU-a", read_at=100.0, info=INFO, temperature_celsius=50.0)
    assert {family.row.name for family in dcgm.families(snapshot(bare))} == {
        "DCGM_FI_DEV_GPU_TEMP",
        "DCGM_FI_DEV_VGPU_LICENSE_STATUS",
    }


def test_before_the_first_xid_the_code_is_zero_and_a_lost_card_has_no_row_at_all():
    """An alert on XID_ERRORS > 0 would fire on every new box, or a dead card would look alive."""
    watched = replace(CARD, xid_errors_total={("79", "hardware"): 0.0}, xid_last_timestamp_seconds={})
    values = {family.row.name: family.samples[0][1] for family in dcgm.families(snapshot(watched))}
    assert values["DCGM_FI_DEV_XID_ERRORS"] == 0
    assert list(dcgm.families(snapshot(replace(CARD, up=False)))) == []


def test_both_formats_carry_the_same_names_beside_our_own():
    """Prometheus asks for OpenMetrics first, and would find other names there."""
    made = page(CARD)
    text, openmetrics = made.text.decode(), made.openmetrics.decode()
    names = set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE))
    assert set(EXPECTED) | {"gpu_temperature_celsius"} <= names
    assert {sample.name for family in parse_openmetrics(openmetrics) for sample in family.samples} == names
    assert len(list(parse_text(text))) == len(list(parse_openmetrics(openmetrics)))
    assert re.search(r"^# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter$", text, re.MULTILINE)


def test_without_the_setting_there_is_none_of_it():
    """Everybody would pay for names that few need."""
    maker = PageMaker(lambda: snapshot(CARD), Observations(), interval=1, version="1", monotonic=lambda: 100.0)
    assert b"DCGM" not in maker.page().text
