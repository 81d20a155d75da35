"""Names of models and makers, and how an answer is read for them."""
