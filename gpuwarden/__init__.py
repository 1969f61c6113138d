"""gpuwarden: GPU monitoring and mail alerting."""

__version__ = "0.1.0"
