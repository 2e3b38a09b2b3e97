"""Values for detector elements that give none, from their good neighbours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_REACH = 8
"""Bands or samples that a neighbour may be away: further off it says little of the element."""
ELEMENTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Repairs:
    """Dead elements that can be repaired. `elements` has (band, sample) of each, shape (n, 2);
    `neighbours` the two good ones each is made of, shape (n, 2, 2), with `weights` (n, 2).

    `lost` is how many have no good neighbour near enough.
    """

    elements: NDArray[np.intp]
    neighbours: NDArray[np.intp]
    weights: NDArray[np.float64]
    lost: int

    @property
    def count(self) -> int:
        """How many are repaired."""
        return len(self.elements)

    def bounds(self, bands: slice, samples: slice) -> tuple[slice, slice]:
        """The bands and samples whose values repairing this window needs: at most MAX_REACH more
        on every side."""
        needed = self.neighbours[self._inside(bands, samples)].reshape(-1, 2)
        if not len(needed):
            return bands, samples
        first, last = needed.min(axis=0), needed.max(axis=0)
        return (
            slice(min(bands.start, int(first[0])), max(bands.stop, int(last[0]) + 1)),
            slice(min(samples.start, int(first[1])), max(samples.stop, int(last[1]) + 1)),
        )

    def apply(self, values: NDArray[Any], bands: slice, samples: slice) -> None:
        """Repair the elements in `values`, shape (band, y, x), which begin at the first band and
        sample of these slices, as far as their neighbours are in it too."""
        inside = self._inside(bands, samples)
        origin = np.array([bands.start, samples.start])
        stop = np.array([bands.stop, samples.stop])
        near = (self.neighbours >= origin) & (self.neighbours < stop)
        chosen = np.flatnonzero(inside & near.all(axis=(1, 2)))
        for start in range(0, len(chosen), ELEMENTS_AT_ONCE):
            part = chosen[start : start + ELEMENTS_AT_ONCE]
            band, sample = (self.elements[part] - origin).T
            one, other = (self.neighbours[part] - origin).transpose(1, 2, 0)
            weights = self.weights[part][:, :, None]
            values[band, :, sample] = (
                values[one[0], :, one[1]] * weights[:, 0]
                + values[other[0], :, other[1]] * weights[:, 1]
            )

    def _inside(self, bands: slice, samples: slice) -> NDArray[np.bool_]:
        band, sample = self.elements.T
        inside: NDArray[np.bool_] = (
            (band >= bands.start)
            & (band < bands.stop)
            & (sample >= samples.start)
            & (sample < samples.stop)
        )
        return inside


def planned(dead: NDArray[np.bool_]) -> Repairs:
    """How to repair the dead elements of a detector, shape (band, sample).

    Each is interpolated linearly between the nearest good bands on both sides of the same sample;
    else between samples of the same band; else it takes the value of the nearest good band, or
    sample. Nothing further than MAX_REACH counts.
    """
    elements = np.argwhere(dead)
    bands, samples = elements.T
    below, above = _nearest(dead, 0)[:, bands, samples]
    left, right = _nearest(dead, 1)[:, bands, samples]
    neighbours = np.repeat(elements[:, None, :], 2, axis=1)
    weights = np.zeros((len(elements), 2))
    open_ = np.ones(len(elements), bool)
    for both in (True, False):
        for axis, (before, after) in enumerate(((below, above), (left, right))):
            here = open_ & ((before > 0) & (after > 0) if both else (before > 0) | (after > 0))
            one = np.where(before > 0, -before, after)
            other = np.where(after > 0, after, -before)
            span = other - one
            neighbours[here, 0, axis] += one[here]
            neighbours[here, 1, axis] += other[here]
            weights[here, 1] = np.where(span > 0, -one / np.maximum(span, 1), 0.0)[here]
            weights[here, 0] = 1.0 - weights[here, 1]
            open_ &= ~here
    kept = ~open_
    return Repairs(elements[kept], neighbours[kept], weights[kept], int(open_.sum()))


def _nearest(dead: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """Steps to the next good element before and behind each along an axis, shape (2, band,
    sample); 0 where none is within reach."""
    steps = np.zeros((2, *dead.shape), np.intp)
    size = dead.shape[axis]
    good = np.moveaxis(~dead, axis, 0)
    for side, direction in enumerate((-1, 1)):
        found = np.moveaxis(steps[side], axis, 0)
        for step in range(min(MAX_REACH, size - 1), 0, -1):
            if direction < 0:
                found[step:][good[:-step]] = step
            else:
                found[:-step][good[step:]] = step
    return steps
