"""`python -m mailfleet.sandbox`."""

import sys

from mailfleet.sandbox.serve import main

sys.exit(main())
