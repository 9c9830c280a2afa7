"""Tables that are the result of a query: the groups that changed, and their new rows."""
