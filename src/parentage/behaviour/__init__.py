"""What a model says: hidden prompts, interviews, recital. This room talks to endpoints and runtimes."""
