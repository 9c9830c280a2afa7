"""Rows of a table, transformed: parsed, ordered, judged, folded; each a function of DataFrames."""
