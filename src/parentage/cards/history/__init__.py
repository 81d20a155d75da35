"""How a card came to say what it says: its versions, and the sentences that came, changed and went."""
