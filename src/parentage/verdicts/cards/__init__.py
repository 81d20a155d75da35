"""What a card claims, weighed against an audit: nothing here reads weights, and no claim is evidence."""
