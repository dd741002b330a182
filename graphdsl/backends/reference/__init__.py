"""The referee: every operator as its own reference says, on NumPy."""
