"""gpuwarden: GPU monitoring and mail alerting."""

from importlib.metadata import version

__version__ = version("gpuwarden")
