"""The name under which the probe's own children stand among a card's processes."""

OURS = "gpuwarden_probe"
"""Their label ``workload``."""
