"""From sifted events to the table of candidates: each measured between the trials, with its false-alarm probability."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tasks.array.namespace import to_host
from tasks.search.calibration import stretches
from tasks.search.dispersion import band_delay, dispersion_delays
from tasks.search.hunt import Block, SearchPlan, condition_block
from tasks.search.refine import REACH, Patch, Pulse, refine
from tasks.search.sifting import Events, sift
from tasks.search.significance import false_alarm_probability, independent_trials

COLUMNS = (
    "time_s",
    "ref_freq_mhz",
    "y",
    "x",
    "dm",
    "width_s",
    "snr",
    "trial_snr",
    "false_alarm_probability",
    "members",
)

BlockReader = Callable[[np.ndarray, int], Block]
"""Gives the data of some pixels from a stretch on."""


def candidates(plan: SearchPlan, chosen: Events, members: np.ndarray, beam: float, block: BlockReader) -> pd.DataFrame:
    """Refine the sifted events and put them into a table; ``block(pixels, stretch)`` gives the data around them."""
    refined = [_refine(plan, chosen, i, block) for i in range(len(chosen.snr))]
    columns = [[getattr(p, name) for p in refined] for name in Pulse.__dataclass_fields__]
    snr, time, y, x, dm, width = (np.array(column, np.float64) for column in columns)
    pulses, groups = sift(Events(snr, time * plan.dt, y, x, dm, width * plan.dt), plan.freqs, plan.dt, beam)
    best = np.array([chosen.snr[group].max() for group in groups])
    trials = independent_trials(plan.levels, plan.shape[0], plan.shape[2] * plan.shape[3], beam, best)
    rows = {
        "time_s": pulses.time,
        "ref_freq_mhz": np.full(len(groups), np.mean(plan.freqs)),
        "y": pulses.y,
        "x": pulses.x,
        "dm": pulses.dm,
        "width_s": pulses.width,
        "snr": pulses.snr,
        "trial_snr": best,
        "false_alarm_probability": false_alarm_probability(best, trials),
        "members": np.array([members[group].sum() for group in groups], np.int64),
    }
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.attrs["complete_up_to_dm"] = complete_dm(plan)
    return frame


def complete_dm(plan: SearchPlan) -> float:
    """Largest trial DM whose delay across the band fits the observation; pulses above it are never seen whole."""
    fits = band_delay(plan.freqs) * plan.levels[0].dms < plan.shape[0] * plan.dt
    return float(plan.levels[0].dms[fits].max(initial=0.0))


def _refine(plan: SearchPlan, chosen: Events, i: int, block: BlockReader) -> Pulse:
    trial = Pulse(
        float(chosen.snr[i]),
        chosen.time[i] / plan.dt,
        chosen.y[i],
        chosen.x[i],
        chosen.dm[i],
        chosen.width[i] / plan.dt,
    )
    return refine(trial, cut_patch(plan, trial, block), plan.freqs, plan.dt, float(plan.levels[0].dms.max()))


def cut_patch(plan: SearchPlan, trial: Pulse, block: BlockReader, reach: int = REACH, margin: int = 8) -> Patch:
    """Weighted residuals of the pixels around a pulse, over its track and ``margin`` bins before and after."""
    n_time, n_channel, n_y, n_x = plan.shape
    y, x = round(trial.y), round(trial.x)
    rows = np.arange(max(0, y - reach), min(n_y, y + reach + 1))
    columns = np.arange(max(0, x - reach), min(n_x, x + reach + 1))
    window = track(plan, trial, margin)
    start = next(i for i, s in enumerate(stretches(n_time)) if window.start < s.stop)
    data = block((rows[:, None] * n_x + columns).ravel(), start)
    centre = int((y - rows[0]) * len(columns) + (x - columns[0]))
    out, u = np.zeros(data.x.shape, np.float32), data.u
    for group, valid in data.groups:
        weights = data.u * valid
        out[:, :, group] = to_host(condition_block(data, weights, group))
        if centre in np.arange(len(data.pixels))[group]:
            u = weights
    inside = slice(window.start - data.core.start, window.stop - data.core.start)
    shape = (-1, n_channel, len(rows), len(columns))
    return Patch(out[inside].reshape(shape), u[inside], data.totals[0], (window.start, int(rows[0]), int(columns[0])))


def track(plan: SearchPlan, trial: Pulse, margin: int) -> slice:
    """Samples from well before a pulse enters the band until well after it has left."""
    ends = dispersion_delays(plan.freqs, trial.dm, reference=float(np.mean(plan.freqs)))[0] / plan.dt + trial.time
    pad = margin * max(1.0, trial.width / 8)
    first, last = int(ends.min() - trial.width / 2 - pad), int(ends.max() + trial.width / 2 + pad) + 1
    return slice(min(max(0, first), plan.shape[0] - 1), min(plan.shape[0], max(1, last)))
