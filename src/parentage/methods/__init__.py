"""Merge methods: one file holds the rule that makes a merge and the estimator that explains one."""
