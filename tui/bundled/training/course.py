"""What is taught from what."""

from pathlib import Path

from msgspec import Struct

from tui.bundled.training.effort import Effort


class Course(Struct, frozen=True, kw_only=True):
    """What is taught from what data, into which folder."""

    data: Path
    """As prepare wrote it."""
    out: Path
    begun_with: Path | None
    """The folder of a model that is taught on; None to start the denoiser afresh, and else with the bundled one."""
    effort: Effort
    rate: float = 1.0
    """Times the denoiser's usual rates."""
    begun: float
    """When it began, by the clock."""
