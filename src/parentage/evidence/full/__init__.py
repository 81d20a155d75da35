"""Every element once: tasks, workers, progress that is kept."""
