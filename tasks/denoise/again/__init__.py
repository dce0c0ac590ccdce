"""Outliers looked for against the scene that came out, and the scene solved again without them."""
