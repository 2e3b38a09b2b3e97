"""Repairing dead detector elements, beside the same by loops and numpy.interp."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hsis_ingest.formats.repair import MAX_REACH, planned

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 14))


def along(good, values, at):
    """What interpolation along one axis gives, and whether neighbours lie on both sides; None
    where none is near."""
    near = [place for place in np.flatnonzero(good) if abs(place - at) <= MAX_REACH]
    before = [place for place in near if place < at][-1:]
    behind = [place for place in near if place > at][:1]
    known = before + behind
    if not known:
        return None
    return np.interp(at, known, values[known]), len(known) == 2


def by_loops(dead, frame):
    repaired = frame.copy()
    for band, sample in np.argwhere(dead):
        ways = [
            along(~dead[:, sample], frame[:, sample], band),
            along(~dead[band], frame[band], sample),
        ]
        found = [way for way in ways if way is not None]
        both = [value for value, two_sided in found if two_sided]
        one = [value for value, _ in found]
        repaired[band, sample] = (both or one or [np.nan])[0]
    return repaired


@settings(max_examples=150, deadline=None)
@given(SIZES.flatmap(lambda shape: arrays(bool, shape)), st.data())
def test_any_pattern_of_dead_elements(dead, data):
    bands, samples = dead.shape
    frame = np.random.default_rng(dead.sum()).random(dead.shape)
    frame[dead] = np.nan
    expected = by_loops(dead, frame)
    repairs = planned(dead)
    assert repairs.count + repairs.lost == dead.sum()
    assert repairs.lost == np.isnan(expected).sum()
    first, left = data.draw(st.integers(0, bands - 1)), data.draw(st.integers(0, samples - 1))
    window = (
        slice(first, data.draw(st.integers(first + 1, bands))),
        slice(left, data.draw(st.integers(left + 1, samples))),
    )
    wide_bands, wide_samples = repairs.bounds(*window)
    assert window[0].start - wide_bands.start <= MAX_REACH
    assert wide_samples.stop - window[1].stop <= MAX_REACH
    values = np.repeat(frame[wide_bands, None, wide_samples], 2, axis=1)
    repairs.apply(values, wide_bands, wide_samples)
    inside = values[
        window[0].start - wide_bands.start : window[0].stop - wide_bands.start,
        :,
        window[1].start - wide_samples.start : window[1].stop - wide_samples.start,
    ]
    for row in (0, 1):
        np.testing.assert_allclose(inside[:, row], expected[window])
