"""Sources: each kind reads its deliveries record by record."""
