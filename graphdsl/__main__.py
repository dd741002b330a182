"""`python -m graphdsl`, the same as `graphdsl`."""

from graphdsl.cli import main

if __name__ == "__main__":
    main()
