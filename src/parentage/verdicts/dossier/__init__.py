"""An audit, an interview and a card, weighed together: each fact told once."""
