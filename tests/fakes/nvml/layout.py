"""Both sides of the state page, made from the table: ctypes structures for the test, a C header for the library."""

import ctypes
import hashlib
from collections.abc import Iterator

from tests.fakes.nvml import table
from tests.fakes.nvml.codes import Kind, Return

_SCALARS: dict[str, type] = {
    "char": ctypes.c_char,
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "uint64_t": ctypes.c_uint64,
}


def _structures() -> dict[str, type[ctypes.Structure]]:
    made: dict[str, type] = {}
    for name, rows in table.STRUCTURES.items():
        types = {row.name: _SCALARS.get(row.type) or made[row.type] for row in rows}
        members = [(row.name, types[row.name] * row.count if row.count > 1 else types[row.name]) for row in rows]
        made[name] = type(name, (ctypes.Structure,), {"_fields_": members})
    return made


_MADE = _structures()
Page = _MADE["page"]
CALL_NUMBERS = {name: number for number, name in enumerate(table.CALLS)}
FIELD_NUMBERS = {field.id: number for number, field in enumerate(table.FIELDS)}


def call_state(page: ctypes.Structure, row: int, call: str) -> ctypes.Structure:
    """The words of one call: on one GPU, or driver-wide in ``table.SYSTEM_ROW``. KeyError when no such call exists."""
    return page.calls[row * len(table.CALLS) + CALL_NUMBERS[call]]


def header() -> str:
    """The C header: constants, structures with asserted sizes, and X-macros over the calls, fields and return codes."""
    return "\n".join([*_prologue(), *_c_structures(), *_c_calls(), *_c_fields(), *_c_returns(), ""])


def _prologue() -> Iterator[str]:
    yield "/* Generated from table.py. */"
    yield "#pragma once"
    yield "#include <stddef.h>"
    yield "#include <stdint.h>"
    for name in (
        "MAX_GPUS",
        "MAX_PROCESSES",
        "MAX_NAME",
        "MAX_EVENTS",
        "MAX_FANS",
        "MAX_SAMPLES",
        "MAX_MIG",
        "GPM_METRICS",
        "SYSTEM_ROW",
        "ABSENT",
    ):
        yield f"#define {name} {getattr(table, name)}u"
    yield from (f"#define KIND_{kind.name} {kind.value}u" for kind in Kind)
    yield f"#define LAYOUT {layout_number()}ull"


def _c_structures() -> Iterator[str]:
    for name, rows in table.STRUCTURES.items():
        yield f"struct {name} {{"
        for row in rows:
            kind = row.type if row.type in _SCALARS else f"struct {row.type}"
            yield f"    {kind} {row.name}{f'[{row.count}]' if row.count > 1 else ''};"
        yield "};"
        size = ctypes.sizeof(_MADE[name])
        yield f'_Static_assert(sizeof(struct {name}) == {size}, "struct {name}: C and Python disagree");'


def _c_calls() -> Iterator[str]:
    yield "enum call {"
    yield from (f"    CALL_{name}," for name in table.CALLS)
    yield "    CALL_COUNT"
    yield "};"
    for shape in ("text", "uint", "ulonglong", "pair", "indexed"):
        rows = (f"X({call.name}, {call.member})" for call in table.DEVICE_CALLS if call.shape == shape)
        yield f"#define {shape.upper()}_CALLS(X) {' '.join(rows)}"


def _c_fields() -> Iterator[str]:
    rows = (f"X({field.id}, {field.type.value}, {field.member}, {field.element})" for field in table.FIELDS)
    yield f"#define FIELD_VALUES(X) {' '.join(rows)}"


def _c_returns() -> Iterator[str]:
    yield "typedef enum {"
    yield from (f"    NVML_{_return_name(code)} = {code.value}," for code in Return)
    yield "} nvmlReturn_t;"
    texts = (f'X({code.value}, "{code.name.replace("_", " ").capitalize()}")' for code in Return)
    yield f"#define RETURN_TEXTS(X) {' '.join(texts)}"


def _return_name(code: Return) -> str:
    return code.name if code is Return.SUCCESS else f"ERROR_{code.name}"


def layout_number() -> int:
    """Identifies the table: a library built from another table refuses the page."""
    rows = repr((table.STRUCTURES, table.CALLS, table.DEVICE_CALLS, table.FIELDS))
    return int.from_bytes(hashlib.sha256(rows.encode()).digest()[:8], "little")
