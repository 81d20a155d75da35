"""One file a relation of the suspect to the models given, each weighed against its rivals."""
