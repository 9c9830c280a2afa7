"""Files in the landing folder: CSV, JSON lines, Parquet."""
