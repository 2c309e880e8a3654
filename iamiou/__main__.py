"""``python -m iamiou``: the command line."""

from iamiou.cli import main

if __name__ == "__main__":
    main()
