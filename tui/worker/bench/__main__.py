"""`python -m tui.worker.bench ROW WAY MODEL [OTHER]`: measure once, in a process of its own, and print JSON."""

import json
import sys
from pathlib import Path

from tui.worker.bench.measures import MEASURES


def main() -> None:
    """Measure what the arguments name."""
    row, way, *models = sys.argv[1:]
    told = MEASURES[row, way](*(Path(model) for model in models))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
