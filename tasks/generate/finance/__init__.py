"""Sample data of the domain `finance`."""
