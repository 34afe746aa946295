"""`python -m mailfleet.receiver`."""

from mailfleet.receiver.serve import main

main()
