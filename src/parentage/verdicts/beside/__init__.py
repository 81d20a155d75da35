"""What stands beside a verdict: claims, layers and orders, parts, an earlier upload, limits."""
