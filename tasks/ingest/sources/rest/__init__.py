"""Records of an HTTP API."""
