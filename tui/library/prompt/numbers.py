"""How numbers are written in prompts."""

import re
from typing import Final

DECIMAL: Final = r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)"
"""A pattern for one, such as `1.2`, `.5` or `-3.`; it reads every letter once."""

NUMBER: Final = re.compile(rf"\s*+{DECIMAL}\s*+")
"""One, with spaces around it."""
