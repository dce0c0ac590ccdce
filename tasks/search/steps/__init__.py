"""The stages of the search over a stored cube: scan, survey until calibrated, hunt, look closer; and what they leave."""

from tasks.search.steps.hunting import hunt_all, look_closer, with_weights
from tasks.search.steps.injecting import draw_pulses, inject, publish_injections
from tasks.search.steps.observation import Observation, frequencies, observe, sampling
from tasks.search.steps.periods import fold_pixels
from tasks.search.steps.publishing import publish
from tasks.search.steps.scanning import scan
from tasks.search.steps.surveying import calibrate, create_arrays

__all__ = [
    "Observation", "calibrate", "create_arrays", "draw_pulses", "fold_pixels", "frequencies", "hunt_all", "inject",
    "look_closer", "observe", "publish", "publish_injections", "sampling", "scan", "with_weights",
]  # fmt: skip
