"""How long something takes, in the words of every screen and command."""


def duration(seconds: float) -> str:
    """Such as "40 s", "3 min" or "2 h 5 min": as exact as one wants to know it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
