"""Draws the pictures of mails; run only as a process of its own: ``python -m alerts.plot``.

One line of JSON (``drawing``) in, one picture out: a line of JSON with the length of the PNG that follows it, or with
an error. It ends with its input. The library that draws is large and old; whatever it does wrong, be it a crash or an
endless loop, is this process's alone, which is weak on purpose: low priority, little memory, a limit of processor time.

The same drawing makes the same bytes: the PNG has no time and no version in it.
"""

import contextlib
import io
import json
import math
import os
import resource
import sys
from typing import Any, BinaryIO

from alerts.drawing import DENSITY, HEIGHT, WIDTH, Drawing, load
from alerts.plot_scale import time_labels, time_ticks, value_label, value_range, value_ticks, zone_label

_MOST_MEMORY = 1 << 30
"""Address space: the library and its numbers map about a third of it."""
_MOST_SECONDS = 120
"""Of processor time, for all pictures that one process may ever draw."""
_GAP = 2.5
"""Steps without a reading after which the line is broken."""

_INK, _SOFT, _GRID, _LINE, _LIMIT = "#1d2939", "#475467", "#eaecf0", "#175cd3", "#b42318"
_SPANS = {"critical": "#fee4e2", "warning": "#fef0c7", "info": "#d1e9ff"}
_COLOURS = 64
_ROOM = 0.87
"""The part of the height above which there is none for a number over a line."""
_FONT = 11.5
"""Points: 16 CSS pixels, which a phone shows as 10."""


def picture(drawing: Drawing) -> bytes:
    """The PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- a machine without it is told so

    size = WIDTH / 100, HEIGHT / 100
    figure: Any = Figure(figsize=size, dpi=100 * DENSITY, facecolor="white", layout="constrained")
    axes: Any = figure.add_subplot()
    low, high = _range(drawing)
    axes.set_xlim(drawing.start, max(drawing.end, drawing.start + 1))
    axes.set_ylim(low, high)
    axes.axvspan(drawing.fired_from, drawing.fired_to, color=_SPANS.get(drawing.severity, _GRID), lw=0, zorder=0)
    style = "steps-post" if drawing.unit == "bool" else "default"
    times, values = _broken(drawing)
    axes.plot(times, values, color=_LINE, lw=1.6, drawstyle=style, zorder=3, solid_joinstyle="round")
    axes.plot(drawing.times[-1:], drawing.values[-1:], "o", color=_LINE, ms=4, zorder=4, clip_on=False)
    if drawing.threshold is not None:
        _threshold(axes, drawing, drawing.threshold, low, high)
    _frame(axes, drawing, low, high)
    return _png(figure)


def _png(figure: Any) -> bytes:
    """The bytes, with so few colours that they are a quarter."""
    from PIL import Image  # noqa: PLC0415 -- as above

    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png")
    drawn: Any = Image.open(raw)
    drawn.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _range(drawing: Drawing) -> tuple[float, float]:
    seen = [*drawing.values, *([] if drawing.threshold is None else [drawing.threshold])]
    return value_range(min(seen), max(seen), drawing.unit)


def _broken(drawing: Drawing) -> tuple[list[float], list[float]]:
    """The points, with one that is no number wherever nothing was read for a while."""
    times, values = [drawing.times[0]], [drawing.values[0]]
    for before, time, value in zip(drawing.times, drawing.times[1:], drawing.values[1:], strict=False):
        if time - before > _GAP * drawing.step:
            times.append((before + time) / 2)
            values.append(math.nan)
        times.append(time)
        values.append(value)
    return times, values


def _threshold(axes: Any, drawing: Drawing, threshold: float, low: float, high: float) -> None:
    """The line with its number, on the side of it that is the alert's where there is room."""
    height = (threshold - low) / (high - low)
    under = height > _ROOM if not drawing.below else height >= 1 - _ROOM
    axes.axhline(threshold, color=_LIMIT, lw=1.2, dashes=(5, 3), zorder=2)
    axes.annotate(
        f"{'below' if drawing.below else 'limit'} {value_label(threshold, drawing.unit)}",
        (0.0, threshold),
        xycoords=("axes fraction", "data"),
        xytext=(4, -3 if under else 3),
        textcoords="offset points",
        va="top" if under else "bottom",
        color=_LIMIT,
        fontsize=_FONT,
        fontweight="bold",
        zorder=5,
    )


def _frame(axes: Any, drawing: Drawing, low: float, high: float) -> None:
    values, times = value_ticks(low, high, drawing.unit), time_ticks(drawing.start, drawing.end)
    axes.set_yticks(values, [value_label(value, drawing.unit) for value in values], color=_INK, fontsize=_FONT)
    axes.set_xticks(times, time_labels(times), color=_INK, fontsize=_FONT)
    axes.grid(axis="y", color=_GRID, lw=0.8, zorder=1)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_SOFT)
    axes.set_title(drawing.title, loc="left", fontsize=_FONT * 0.9, color=_SOFT, parse_math=False)
    axes.set_title(zone_label(drawing.end), loc="right", fontsize=_FONT * 0.9, color=_SOFT, parse_math=False)
    if drawing.simulated:
        # Behind the line: it must be seen, and hide nothing.
        place = {"transform": axes.transAxes, "ha": "center", "va": "center", "zorder": 1.5, "alpha": 0.45}
        axes.text(0.5, 0.5, "SIMULATED", color="#d68910", fontsize=3 * _FONT, fontweight="bold", **place)


def main() -> None:
    """Draw what is asked for until the input ends."""
    _stay_small()
    answers: BinaryIO = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            head, body = {}, picture(load(line))
            head = {"bytes": len(body)}
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next picture may be another matter
            head, body = {"error": f"{type(error).__name__}: {error}"[:300]}, b""
        answers.write(json.dumps(head).encode("ascii") + b"\n" + body)
        answers.flush()


def _stay_small() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.nice(10)
    for limit, most in ((resource.RLIMIT_AS, _MOST_MEMORY), (resource.RLIMIT_CPU, _MOST_SECONDS)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    main()
