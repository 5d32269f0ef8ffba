"""`python -m ringback` is the command `ringback`."""

from ringback.cli import main

main()
