"""What training leaves: the size of a change, weight decay step by step, schedules."""
