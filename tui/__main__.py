"""`python -m tui` is the command `latentty`."""

import sys

from tui.cli import main

sys.exit(main())
