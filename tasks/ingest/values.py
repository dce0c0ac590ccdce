"""From stored numbers to values and a mask, for all formats alike: scale, offset, nodata, NaN, bad bands."""

import numpy as np

from tasks.ingest.header import Header, Region


def clean(
    stored: np.ndarray, header: Header, region: Region, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Values of one block in the product's type, and where they are valid.

    Parameters
    ----------
    stored : array
        Numbers as the file holds them, in product axis order, any byte order.
    header : Header
        Says what they mean.
    region : tuple of slices
        Where the block lies in the cube; picks its bands from ``header.bad_bands``.
    mask : bool array, broadcastable to ``stored``, optional
        True = valid, as the file itself says.

    Returns
    -------
    values : array of ``header.dtype``
        Physical values, or stored ones where the product keeps the scale. Zero where there is no number;
        in bad bands and under the file's own mask the values stay, since only their trust is lost.
    valid : bool array
    """
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("="))  # once, so that all that follows is fast
    there = has_number(stored, header.nodata)
    values = _convert(stored, header, region)
    if values.dtype.kind == "f" and (header.is_scaled or stored.dtype.itemsize > values.dtype.itemsize):
        there &= np.isfinite(values)  # too large for the product's type
    if not there.all():
        values = np.where(there, values, values.dtype.type(0))
    valid = there
    if mask is not None:
        valid = valid & mask
    if header.bad_bands is not None:
        valid = valid & ~header.bad_bands[region[header.dims.index("band")]]
    return values, valid


def has_number(stored: np.ndarray, nodata: float | None) -> np.ndarray:
    """True where ``stored`` is finite and is not ``nodata``."""
    there = np.isfinite(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    if nodata is None or not np.isfinite(nodata):
        return there
    if stored.dtype.kind == "f":  # the header's text has more digits than the type: compare in the type
        with np.errstate(over="ignore"):
            return there & (stored != stored.dtype.type(nodata))
    return there & (stored != nodata)


def _convert(stored: np.ndarray, header: Header, region: Region) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        if header.dtype != np.float32 or not header.is_scaled:
            return stored.astype(header.dtype, copy=False)
        scale, offset = header.scale, header.offset
        if header.gains is not None:
            scale = scale * header.gains[region[-1]]
        if header.offsets is not None:
            offset = offset + header.offsets[region[-1]]
        return (stored.astype(np.float64) * scale + offset).astype(np.float32)
