"""`python -m minisub`: the command line."""

from minisub.cli.main import entry

if __name__ == "__main__":
    entry()
