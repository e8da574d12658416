import sys

import pytest

from pytest_qeval.measure.memory import PeakMemory

MEGABYTE = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a high-water mark that can be reset")
def test_the_peak_is_remembered_and_can_be_reset() -> None:
    """A hundred megabytes that came and went are seen by the object made before them, and not by the one made after."""
    before = PeakMemory()
    start = before.read()
    block = bytearray(100 * MEGABYTE)
    del block
    peak = before.read()
    after = PeakMemory().read()

    assert start is not None
    assert peak is not None
    assert after is not None
    assert peak - start > 80 * MEGABYTE
    assert peak - after > 80 * MEGABYTE
