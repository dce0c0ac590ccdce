"""One page a scientist can judge a run by: what was found, what was done, what to be careful about, and the picture."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

WHITE = 0.1
"""Correlation of neighbours in what was removed above which it was not noise alone."""

LEAKED = 0.15
"""Correlation of what was removed with what was kept above which signal may have gone; shrinkage alone reaches 0.1."""

FRONT = {
    "outliers_fraction": "of the samples replaced as outliers",
    "striped_fraction": "of the columns freed of an offset in their band",
    "dead_fraction": "of the columns dead in their band",
}
TABLE = {
    "snr_db": ("signal to noise of the input, median band", "dB"),
    "gain_db": ("noise before over expected after, median band", "dB"),
    "psnr_db": ("expected peak signal-to-noise ratio of the result", "dB"),
    "n_component": ("spectral components", ""),
    "n_used_bands": ("bands denoised", ""),
    "residual_correlation_median": ("correlation of neighbours in what was removed (white noise: 0)", ""),
    "leakage_median": ("correlation of what was removed with what was kept (noise alone: 0)", ""),
    "residual_angle_deg": ("angle between spectra removed and kept (noise alone: 90)", "deg"),
    "flagged_fraction": ("pixels from which more than noise was removed", ""),
}
STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
h1{font-size:1.4em}h2{font-size:1.1em;margin:1.4em 0 .3em}img{width:100%}td{padding:.1em 1.2em .1em 0}
td.n{text-align:right;font-variant-numeric:tabular-nums}.warn{background:#fff3d6;border-left:4px solid #d90;padding:.4em 1em}
.fine{background:#e8f5e8;border-left:4px solid #393;padding:.4em 1em}ul{margin:.2em 0}"""


def warnings(numbers: dict[str, Any], n_band: int) -> list[str]:
    """What a person should look at before using the result, one sentence each."""
    found = []
    left_out = n_band - int(numbers["n_used_bands"])
    if left_out:
        found.append(f"{left_out} of {n_band} bands were not denoised (bad, constant, seldom valid or not named)")
    if abs(numbers["residual_correlation_median"]) > WHITE:
        found.append(
            f"what was removed is not white (neighbours correlate by {numbers['residual_correlation_median']:.2f}): "
            "stripes went, or structure of the scene did; look at the removed pictures"
        )
    if abs(numbers["leakage_median"]) > LEAKED:
        found.append(f"what was removed resembles what was kept (correlation {numbers['leakage_median']:.2f})")
    if numbers["flagged_fraction"]:
        kept = "they have their values back" if "kept_fraction" in numbers else "keep_rare gives them their values back"
        found.append(
            f"more than noise was removed from {numbers['flagged_fraction']:.3%} of the pixels, "
            f"which may be a rare material (variable rare; red in the picture); {kept}"
        )
    found += [f"{numbers[key]:.2%} {what}" for key, what in FRONT.items() if numbers.get(key, 0) > 0]
    if numbers["gain_db"] < 3:
        found.append(f"little noise was removed ({numbers['gain_db']:.1f} dB); the scene may be clean already")
    return found


def page(
    source: str, asked: str, method: str, reasons: Sequence[str], numbers: dict[str, Any], picture: bytes
) -> bytes:
    """The report as one HTML file that needs no other.

    Parameters
    ----------
    source, asked, method : str
        The cube's address; the method that was asked for; the one that ran, with its parameters.
    reasons : sequence of str
        What the look at a sample found.
    numbers : dict
        The run's metrics.
    picture : bytes
        PNG of `tasks.denoise.quicklook`.
    """
    careful = warnings(numbers, len(numbers["noise_sigma"]))
    rows = "".join(
        f'<tr><td>{what}</td><td class="n">{_number(numbers[key])}</td><td>{unit}</td></tr>'
        for key, (what, unit) in TABLE.items()
        if key in numbers
    )
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Denoising report</title><style>{STYLE}</style>',
        f"<h1>Denoising of {escape(source)}</h1>",
        f"<h2>What was found</h2>{_list(reasons)}",
        f"<h2>What was done, and why</h2><p><code>{escape(method)}</code></p><p>{escape(_why(asked, method))}</p>",
        "<h2>What to be careful about</h2>",
        f'<div class="warn">{_list(careful)}</div>' if careful else '<p class="fine">Nothing stands out.</p>',
        f'<h2>Picture</h2><img alt="before, after, removed; spectra" src="data:image/png;base64,{b64encode(picture).decode()}">',
        f"<h2>Numbers</h2><table>{rows}</table></html>",
    ]
    return "\n".join(parts).encode()


def _why(asked: str, method: str) -> str:
    """What led from the findings to the method."""
    if asked != "auto":
        return f"{asked} was asked for by name; what was found did not choose it."
    if method.startswith("L1HyMixDe"):
        return "auto chose it because there is damage besides Gaussian noise: outliers and stripes go first."
    if "poisson" in method:
        return "auto chose it because the noise is that of counted photons: counts are stabilised first."
    return (
        "auto chose it because the noise is Gaussian as far as the sample shows: similar patches share what they know."
    )


def _number(value: float) -> str:
    return f"{value:d}" if isinstance(value, int | np.integer) else f"{value:.4g}"


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(s)}</li>" for s in sentences) + "</ul>"
