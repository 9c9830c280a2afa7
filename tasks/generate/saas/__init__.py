"""Sample data of the domain `saas`."""
