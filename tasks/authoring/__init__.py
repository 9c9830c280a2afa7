"""Help for who writes a domain: first drafts, cases, inspection and contracts."""
