"""Known adapters over one base, combined with weights: which combination, and does it replay?"""
