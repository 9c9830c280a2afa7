"""Tables fed row by row: judged, merged by key, with their quarantine."""
