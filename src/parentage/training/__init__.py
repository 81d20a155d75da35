"""What may be done to a model after it was made, and tasks that can be checked; torch on use alone."""
