"""Peak memory of the commands, measured in processes of their own."""
