"""What must not be told: access tokens and passwords, wherever they turn up in a text."""

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "[hidden]"

MIN_LENGTH: Final = 8
"""Letters of the shortest value of an environment variable that is taken for a secret; "1" or "true" is none."""

_NAMES: Final = re.compile(
    r"token|secret|pass(?:w|phrase|$|_)|_pwd$|api_?key|access_?key|private_?key|_key$|_pat$|credential|cookie"
    r"|authorization",
    re.IGNORECASE,
)

_SHAPES: Final = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}"
    r"|\bgh[a-z]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bxox[a-z]-[\w-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=://)[^/\s@]+(?=@)"
    r"|(?<=-----)BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----)[\s\S]){0,9000}"
    r"|(?<=Bearer )[^\s\"',;]+"
    r"|(?P<cookie>cookie[\"']{0,2}\s{0,8}[=:])[^\r\n]+"
    r"|(?<=-token )\S+|(?<=\bpassword )(?:\"[^\"\r\n]{1,4096}|\S+)|(?<=-u )[^\s:]{1,256}:\S+|(?<=[?&]policy=)[^\s&]+"
    r"|(?P<name>(?:token|secret|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|authorization|signature"
    r"|credential)[\w-]{0,64}+[\"']{0,2}+\s{0,8}+[=:]\s{0,8}+(?:(?:basic|bearer|digest|token)\s{1,8}+)?)"
    r"(?:\"[^\"\r\n]{1,4096}|'[^'\r\n]{1,4096}|[^\s\"'&,;]+)",
    re.IGNORECASE,
)
"""No part of it looks at a letter more often than a few dozen times, whatever the text is: every line of the log passes
here, and what others wrote is in it."""


def is_secret_name(name: str) -> bool:
    """Whether an environment variable or a setting called `name` holds a secret."""
    return _NAMES.search(name) is not None


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` without the secrets of `environment`, and without what looks like one."""
    for name, value in environment.items():
        if len(value) >= MIN_LENGTH and is_secret_name(name):
            for form in _forms(value):
                text = text.replace(form, HIDDEN)
    return _SHAPES.sub(lambda match: f"{match['name'] or match['cookie'] or ''}{HIDDEN}", text)


@lru_cache(maxsize=256)
def _forms(value: str) -> tuple[str, ...]:
    """How `value` may be written: as it is, in an address, in JSON, in Python."""
    written = (value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1])
    return tuple(sorted(set(written), key=len, reverse=True))
