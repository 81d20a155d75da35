"""Number formats and their rounding cells, estimators, streaming kernels, tests; knows no model."""
