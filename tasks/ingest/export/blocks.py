"""The blocks in which a cube is carried over: slabs along its first axis, none larger than a few tens of megabytes."""

from collections.abc import Iterator
from math import prod

import numpy as np

from tasks.ingest.header import Region
from tasks.ingest.source import Source

BLOCK_BYTES = 32 << 20


def slabs(source: Source) -> Iterator[tuple[Region, np.ndarray, np.ndarray]]:
    """Region, values and mask, slab by slab in the product's axis order."""
    shape = source.header.shape
    step = max(1, BLOCK_BYTES // (4 * prod(shape[1:])))
    for start in range(0, shape[0], step):
        region = (slice(start, min(start + step, shape[0])), *(slice(0, n) for n in shape[1:]))
        yield (region, *source.read(region))


def blanked(source: Source) -> Iterator[tuple[Region, np.ndarray]]:
    """Region and physical float32 values with NaN where there is nothing to trust; bad bands keep their values."""
    header = source.header
    scale, offset = header.kept_scale
    for region, values, valid in slabs(source):
        if header.bad_bands is not None:  # the list of bad bands goes along, so their values need not be lost
            valid = valid | (header.bad_bands & ~valid.any(axis=(0, 1)))
        physical = values.astype(np.float32) * np.float32(scale) + np.float32(offset)
        yield region, np.where(valid, physical, np.float32(np.nan))
