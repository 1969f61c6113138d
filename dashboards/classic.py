"""From grafanalib's objects to the classic dashboard JSON that Grafana's file provisioning takes (11 to 13).

grafanalib writes keys that Grafana dropped years ago and nulls that today's schema refuses; both go here.
"""

import json
from typing import Any, cast

import grafanalib._gen as grafanalib_encoding  # pyright: ignore[reportMissingTypeStubs] -- it has no types

_encoding: Any = grafanalib_encoding

SCHEMA_VERSION = 41
_DEAD_IN_DASHBOARD = ("__inputs", "gnetId", "hideControls", "rows", "sharedCrosshair", "style")
_DEAD_IN_PANEL = ("cacheTimeout", "editable", "error", "height", "hideTimeOverride", "minSpan", "span")
_DEAD_IN_TARGET = ("intervalFactor", "metric", "query", "step", "target", "interval", "hide")
_DEAD_IN_VARIABLE = ("useTags", "tagsQuery", "tagValuesQuery", "auto", "auto_min", "auto_count", "sort")

Json = dict[str, Any]


def classic(dashboard: Any) -> Json:
    """The dashboard as plain JSON values, with ids for its panels."""
    numbered = dashboard.auto_panel_ids()
    board = cast("Json", _without_nulls(json.loads(json.dumps(numbered, cls=_encoding.DashboardEncoder))))
    _drop(board, _DEAD_IN_DASHBOARD)
    board["schemaVersion"] = SCHEMA_VERSION
    board["id"] = None
    board["timepicker"] = {"hidden": True, "refresh_intervals": board["timepicker"]["refresh_intervals"]}
    for panel in cast("list[Json]", board["panels"]):
        _panel(panel)
    for variable in cast("list[Json]", board["templating"]["list"]):
        _drop(variable, _DEAD_IN_VARIABLE)
        _drop(variable["current"], ("tags", "selected"))
    return board


def _panel(panel: Json) -> None:
    _drop(panel, _DEAD_IN_PANEL)
    panel["fieldConfig"].setdefault("overrides", [])
    if panel["type"] == "text":
        panel["fieldConfig"] = {"defaults": {}, "overrides": []}
        _drop(panel, ("targets", "transformations"))
    for target in cast("list[Json]", panel.get("targets", [])):
        _drop(target, _DEAD_IN_TARGET)
        target["range"] = not target["instant"]


def _drop(mapping: Json, keys: tuple[str, ...]) -> None:
    for key in keys:
        mapping.pop(key, None)


def _without_nulls(value: object) -> object:
    """Everything but nulls; the null of a first threshold step means minus infinity and stays."""
    if isinstance(value, dict):
        items = cast("Json", value).items()
        return {key: _without_nulls(item) for key, item in items if item is not None or key == "value"}
    return [_without_nulls(item) for item in cast("list[object]", value)] if isinstance(value, list) else value
