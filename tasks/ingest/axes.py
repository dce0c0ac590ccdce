"""Which axis of an array is which: by the names a file gives, else by the lengths of its vectors, else by custom."""

from tasks.ingest.header import Kind, Unreadable

_NAMES = {
    "band": "band bands wavelength wavelengths wl wvl lambda spectral spectrum wave nbands n_bands z",
    "channel": "channel channels chan freq freqs frequency freq_mhz nu nchan",
    "time": "time t integration integrations sample samples_t ntime epoch",
    "y": "y row rows line lines lat latitude northing dec ny height nrows",
    "x": "x col cols column columns sample samples lon longitude easting ra nx width ncols",
}
_CLASS = {name: axis for axis, names in reversed(_NAMES.items()) for name in names.split()}

Order = tuple[str | int, ...]


def order_of(
    names: tuple[str | None, ...], shape: tuple[int, ...], n_band: int | None = None, n_channel: int | None = None
) -> tuple[Kind, Order, tuple[str, ...]]:
    """Kind of cube, product axis of each file axis, and notes on what was guessed.

    Parameters
    ----------
    names : (axis,) tuple of str or None
        Names of the file's axes, where it has any.
    shape : (axis,) tuple of int
    n_band, n_channel : int, optional
        Lengths of the wavelength and frequency vectors found beside the array.
    """
    classes = [_CLASS.get((n or "").lower().split("/")[-1]) for n in names]
    radio = n_channel in shape and n_band not in shape
    if n_band in shape or ("channel" in classes and not radio and "band" not in classes and "time" not in classes):
        classes = ["band" if c == "channel" else c for c in classes]
    if len(shape) == 4:
        return _order_of_four(classes, shape, radio)
    if len(shape) == 3:
        return _order_of_three(classes, shape, n_channel if radio else n_band, radio)
    raise Unreadable(f"found {len(shape)} axes {shape}, expected three (y, x, band) or four (time, channel, y, x)")


def _order_of_four(classes: list, shape: tuple[int, ...], radio: bool) -> tuple[Kind, Order, tuple[str, ...]]:
    if set(classes) == {"time", "channel", "y", "x"}:
        return "radio_cube", tuple(classes), ()
    named = {"y", "x", "band"} <= set(classes)
    spare = [i for i, n in enumerate(shape) if n == 1 and classes[i] not in ("y", "x", "band", "channel")]
    if spare and not radio and (named or "channel" not in classes):
        i = spare[0]
        kind, order, notes = _order_of_three(classes[:i] + classes[i + 1 :], shape[:i] + shape[i + 1 :], None, False)
        return kind, (*order[:i], 0, *order[i:]), (*notes, f"axis {i} of length 1 is dropped")
    if any(classes):
        found = ", ".join(c or "?" for c in classes)
        raise Unreadable(f"the four axes are ({found}), expected time, channel, y and x; rename the dimensions so")
    return "radio_cube", ("time", "channel", "y", "x"), ("axes are taken as (time, channel, y, x)",)


def _order_of_three(
    classes: list, shape: tuple[int, ...], length: int | None, radio: bool
) -> tuple[Kind, Order, tuple[str, ...]]:
    kind, spectral = ("radio_cube", "channel") if radio else ("raw_cube", "band")
    if "time" in classes and not radio:
        raise Unreadable(
            "the axes include time but no frequencies, expected (y, x, band), or (time, channel, y, x) "
            "with a vector of frequencies; add the missing axis or vector"
        )
    if {spectral, "y", "x"} == set(classes):
        return kind, tuple(classes), ()
    at, notes = _find_spectral(classes, shape, length, spectral)
    plane = [i for i in range(3) if i != at]
    if classes[plane[0]] == "x" or classes[plane[1]] == "y":
        plane.reverse()
    order = {at: spectral, plane[0]: "y", plane[1]: "x"}
    return kind, tuple(order[i] for i in range(3)), notes


def _find_spectral(
    classes: list, shape: tuple[int, ...], length: int | None, spectral: str
) -> tuple[int, tuple[str, ...]]:
    if classes.count(spectral) == 1:
        return classes.index(spectral), ()
    if {"y", "x"} <= set(classes):
        return next(i for i in range(3) if classes[i] not in ("y", "x")), ()
    if shape.count(length) == 1:
        at = shape.index(length)
        return at, (f"axis {at} is taken as {spectral}: its length {length} is that of the spectral vector",)
    at = 0 if spectral == "channel" else 2
    named = "(channel, y, x)" if at == 0 else "(y, x, band)"
    return at, (f"the axes have no names and are taken as {named}",)
