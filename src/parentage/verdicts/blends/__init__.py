"""What is decided on a stored blend: its weights, their course over the model, and what came after."""
