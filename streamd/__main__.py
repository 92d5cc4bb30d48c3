"""`python -m streamd` is the same as `streamd`."""

import sys

from streamd.cli import main

sys.exit(main())
