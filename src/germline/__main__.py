"""The command as a module: ``python -m germline``, ``torchrun -m germline``."""

import sys

from germline.cli import main

sys.exit(main())
