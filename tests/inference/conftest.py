"""What the tests of inference share."""

import pytest

from hsis_inference.device import Device, load_device


@pytest.fixture(scope="session")
def cpu() -> Device:
    """torch on the CPU."""
    return load_device("cpu")
