"""The scalar step that both twins share."""


def shrunk(value, limit):
    """``value`` drawn towards zero by ``limit``."""
    if value > limit:
        return value - limit
    if value < -limit:
        return value + limit
    return value - value
