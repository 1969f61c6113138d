"""One child of exporter/workload, heard to its end as the exporter and the bench do it; the result as a document."""

import dataclasses
import sys

from exporter.latency import torch_child


def run(spec, at_barrier=lambda _pid: {}, seconds=120.0, python=sys.executable, **more) -> dict:
    """What became of it, with the ``phases`` that were told."""
    phases = []
    asked = torch_child.Asked(spec, python, seconds, **more)
    done = torch_child.run(asked, at_barrier=at_barrier, on_phase=lambda phase, _: phases.append(phase))
    return {**dataclasses.asdict(done), "phases": phases[1:]}
