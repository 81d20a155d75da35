"""Files that lie: one hostile byte string for each way in which a checkpoint can."""
