"""What is too little work to be shared among threads."""

SMALL = 1 << 14
"""Numbers moved, that one thread is through with by the time that a second one has begun."""


def small(*counts: int) -> bool:
    """Whether one thread should do it, given how many numbers are read and written."""
    return sum(counts) < SMALL
