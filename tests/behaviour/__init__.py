"""What models say: templates, readers, endpoints on loopback."""
