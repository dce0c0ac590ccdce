"""The work itself: kernels (pure functions of arrays), and the steps that map them over tiles."""
