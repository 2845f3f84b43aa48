"""What must not be told: access tokens and passwords, wherever they turn up in a text."""

import os
import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "[hidden]"

MIN_LENGTH: Final = 8
"""Letters of the shortest value of an environment variable that is taken for a secret; "1" or "true" is none."""

_NAMES: Final = re.compile(r"token|secret|passw|api_?key|access_?key|credential|cookie|authorization", re.IGNORECASE)

_SHAPES: Final = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}"
    r"|\bgh[a-z]_[A-Za-z0-9]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}"
    r"|(?<=Bearer )[^\s\"',;]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?P<name>[\w-]*(?:token|secret|passw(?:or)?d|api_?key)[\w-]*[\"']?\s*[=:]\s*)[\"']?[^\s\"'&,;]+",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether an environment variable or a setting called `name` holds a secret."""
    return _NAMES.search(name) is not None


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` without the secrets of `environment`, and without what looks like one."""
    for name, value in environment.items():
        if len(value) >= MIN_LENGTH and is_secret_name(name):
            text = text.replace(value, HIDDEN)
    return _SHAPES.sub(lambda match: f"{match['name'] or ''}{HIDDEN}", text)
