"""Fixtures that tests in several folders use."""

from tests.fakes.nvml.fixture import fake_driver

__all__ = ["fake_driver"]
