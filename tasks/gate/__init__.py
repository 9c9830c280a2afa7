"""The gate of a table: what is checked before anything is published."""
