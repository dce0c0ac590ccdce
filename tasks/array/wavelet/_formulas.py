"""Index arithmetic and shrinkage that the CPU and the GPU kernels share, as plain scalar functions."""


def wrap(index: int, size: int) -> int:
    """``index`` folded into a period of ``size``, also when it is negative."""
    return (index % size + size) % size


def tap_offset(tap: int, n_taps: int, step: int) -> int:
    """Distance, in samples, from a coefficient to the sample that tap number ``tap`` weighs; the filter is centred."""
    return (tap - n_taps // 2) * step


def bin_of(value, scale, n_bins: int) -> int:
    """Histogram bin of ``|value|``; the last bin takes everything beyond the others."""
    magnitude = value if value > 0 else -value
    index = int(magnitude * scale)
    return index if index < n_bins - 1 else n_bins - 1
