"""Fixtures that tests in several folders use."""

from hypothesis import settings

from tests.fakes.nvml.fixture import fake_driver

__all__ = ["fake_driver"]

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
