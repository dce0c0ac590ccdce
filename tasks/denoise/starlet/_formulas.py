"""What both twins of the starlet share."""


def folded(index: int, size: int) -> int:
    """``index`` in a period of ``size``."""
    return (index % size + size) % size
