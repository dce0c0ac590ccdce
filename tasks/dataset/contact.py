"""A contact sheet: what the samples of a dataset look like, at a glance."""

import io

import numpy as np

COLUMNS = 8


def contact_sheet(pictures: np.ndarray, gap: int = 2) -> bytes:
    """Pictures (record, y, x) side by side as a PNG, each stretched between its own 2nd and 98th percentile."""
    from PIL import Image

    n, height, width = pictures.shape
    columns = min(COLUMNS, max(1, n))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[y : y + height, x : x + width] = _grey(picture)
    buffer = io.BytesIO()
    scale = max(1, 512 // max(1, sheet.shape[1]))
    Image.fromarray(sheet.repeat(scale, axis=0).repeat(scale, axis=1)).save(buffer, "PNG")
    return buffer.getvalue()


def _grey(picture: np.ndarray) -> np.ndarray:
    low, high = np.nanpercentile(picture, [2, 98])
    shade = (np.nan_to_num(picture) - low) / max(high - low, 1e-30)
    return (np.clip(shade, 0, 1) * 255).astype(np.uint8)
