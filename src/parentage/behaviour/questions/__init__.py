"""Questions about identity, a data file a language, read with those that a user adds."""
