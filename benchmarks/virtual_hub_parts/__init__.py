"""A hub that computes its models: what it serves, how, and the audits that are run against it."""
