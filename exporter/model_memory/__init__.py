"""How large the models of known shape are, and how much memory a run of one takes: pure arithmetic, without torch.

The one place for it. The probe asks it before each run on a card (exporter/latency/needs.py), ``gpuwarden bench``
before each of its own and for the answers of ``--fit``. What it says is held against runs on an H200 (docs/fit.md).
"""
