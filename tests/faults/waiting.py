"""Waiting for what another process does."""

import time


def wait_for(condition, seconds=30):
    """Return when ``condition()`` holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
