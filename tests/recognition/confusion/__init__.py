"""One confusion matrix: random recipes of every method by other tools, what is no merge, and the audits."""
