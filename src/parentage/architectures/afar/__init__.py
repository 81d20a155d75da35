"""Orders of units and experts in models that are read by range: little is read, and it is counted."""
