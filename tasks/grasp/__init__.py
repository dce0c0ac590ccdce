"""Grasp synthesis: physically checked dexterous grasps, after BODex (Chen et al. 2025, arXiv:2412.16490)."""

from .hand import load_hand
from .object import load_object
from .synthesis import synthesize
from .validation import validate

__all__ = ["load_hand", "load_object", "synthesize", "validate"]
