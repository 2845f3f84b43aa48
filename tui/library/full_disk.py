"""Whether writing failed for want of space."""

import errno


def is_full(number: int | None) -> bool:
    """Whether `number`, the errno of a failed write, says that the disk or the user's share of it is full."""
    return number in (errno.ENOSPC, errno.EDQUOT)
