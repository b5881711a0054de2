"""`python -m masklet`: the command line, also where `masklet` is not on the path."""

from masklet.cli.main import main

main()
