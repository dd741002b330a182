"""A machine that computes nothing: it records what it is asked."""
