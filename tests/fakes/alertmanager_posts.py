"""Payloads as Alertmanager posts them, built from the alerts that a test is about."""

import datetime as dt
import json

ZERO = "0001-01-01T00:00:00Z"
LABELS = {
    "alertname": "GpuMemoryAlmostFull",
    "gpu": "0",
    "uuid": "GPU-a",
    "job": "gpuwarden",
    "instance": "box:9400",
    "severity": "critical",
}

# Recorded from Alertmanager 0.25.0: the group still fires, one of its alerts is over.
RECORDED = (
    r'{"receiver":"g","status":"firing","alerts":[{"status":"resolved","labels":{"alertname":"GpuMemoryAlmostFull",'
    r'"gpu":"0","instance":"exporter:9400","job":"gpuwarden","severity":"critical","uuid":"GPU-0"},"annotations":'
    r'{"summary":"GPU 0 memory is 95.0 % full 显存","value":"0.9512345"},"startsAt":"2026-11-23T14:32:26.371230689Z",'
    r'"endsAt":"2026-11-23T14:32:28.892672951Z","generatorURL":"","fingerprint":"37f31ac8d1cdff6b"},{"status":"firing",'
    r'"labels":{"alertname":"GpuMemoryAlmostFull","gpu":"1","instance":"exporter:9400","job":"gpuwarden","severity":'
    r'"critical","uuid":"GPU-1"},"annotations":{"summary":"GPU 1 memory is 95.0 % full 显存","value":"0.9512345"},'
    r'"startsAt":"2026-11-23T14:32:26.371230689Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":'
    r'"684eb053888d81eb"}],"groupLabels":{"alertname":"GpuMemoryAlmostFull"},"commonLabels":{"alertname":'
    r'"GpuMemoryAlmostFull","instance":"exporter:9400","job":"gpuwarden","severity":"critical"},"commonAnnotations":'
    r'{"value":"0.9512345"},"externalURL":"http://vm:9093","version":"4","groupKey":'
    r'"{}:{alertname=\"GpuMemoryAlmostFull\"}","truncatedAlerts":1}'
    "\n"
).encode()


def stamp(seconds):
    """Unix seconds as Go writes them."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")


def posted(status="firing", *, start=None, end=None, value="0.95", annotations=None, **labels):
    """One alert; ``start`` and ``end`` in Unix seconds."""
    return {
        "status": status,
        "labels": {name: text for name, text in (LABELS | labels).items() if text is not None},
        "annotations": {"summary": "from Prometheus", "value": value} if annotations is None else annotations,
        "startsAt": ZERO if start is None else stamp(start),
        "endsAt": ZERO if end is None else stamp(end),
        "generatorURL": "",
        "fingerprint": "00",
    }


def payload(*alerts, **keys):
    """A body with these alerts."""
    status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
    return json.dumps({"version": "4", "status": status, "alerts": alerts, "truncatedAlerts": 0, **keys}).encode()
