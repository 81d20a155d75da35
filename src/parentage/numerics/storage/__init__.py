"""Number formats, the cells that a stored number stands for, and quantisers, bit for bit."""
