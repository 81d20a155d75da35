"""Merges of thinned task vectors: TIES, DARE, DELLA and breadcrumbs."""
