"""Flows: one sentence each on what happens to the data, in order."""
