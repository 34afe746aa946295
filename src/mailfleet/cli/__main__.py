"""`python -m mailfleet.cli` is `mailfleet`, where the script is not on the path."""

from mailfleet.cli import main

main()
