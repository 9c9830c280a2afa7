"""The operational tables: what they hold, and the report that runs append to them."""
