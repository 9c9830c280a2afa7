"""Ingestion: what sources deliver becomes rows of bronze."""
