"""Runs over many tables and versions: planning, backfill, rollback and migration."""
