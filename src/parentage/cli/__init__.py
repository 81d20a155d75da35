"""The only room that prints, reads the environment or exits; one file a command."""
