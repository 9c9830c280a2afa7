"""Sample data of the domain `growth`."""
