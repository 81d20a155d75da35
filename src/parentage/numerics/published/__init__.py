"""What second-hand figures carry: least squares read through rounding, tables of scores."""
