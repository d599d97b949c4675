"""Run the command line as ``python -m unflat``."""

from .cli.entry import main

if __name__ == "__main__":
    main()
