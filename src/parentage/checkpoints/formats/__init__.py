"""File formats: headers read strictly, numbers where they lie; nothing is executed."""
