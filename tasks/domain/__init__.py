"""What a domain declares, and whether it makes sense."""
