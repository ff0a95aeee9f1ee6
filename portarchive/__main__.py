"""``python -m portarchive`` is the ``portarchive`` command."""

import sys

from portarchive.cli import main

if __name__ == "__main__":
    sys.exit(main())
