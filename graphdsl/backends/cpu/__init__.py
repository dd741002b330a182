"""The processor: our own kernels in C, built when the package is installed."""
