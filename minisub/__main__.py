"""`python -m minisub` is `minisub`."""

from minisub.cli import entry

if __name__ == "__main__":
    entry()
