"""Services on this machine: Prefect's server and worker, and any other process of `lakehouse up`."""
