"""Several adapters combined with weights and merged into their base, as peft's ``add_weighted_adapter``."""
