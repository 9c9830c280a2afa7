"""The REST API: records are pushed to a bronze table, tables and runs are read. `lakehouse api` serves it."""
