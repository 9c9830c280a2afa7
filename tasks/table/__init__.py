"""What every kind of table has in common: the steps it takes in a run, its columns, and how it is written."""
