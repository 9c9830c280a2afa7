"""Plain Parquet with a log of commits."""
