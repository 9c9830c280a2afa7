"""Sample data of the domain `olist`."""
