"""Runs programs on a GPU: our own CUDA kernels, compiled where they run, a whole step as one graph."""
