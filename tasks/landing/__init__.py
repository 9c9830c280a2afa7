"""Where deliveries arrive: folders, names and contents of files."""
