"""What a run tells: its summary, the quality report, and artifacts in Prefect."""
