"""Rows of a query kept up to date from what is new, without reading all rows of a group again; pure.

A query may be folded where its result over two sets of rows follows from its results over each: counts and
sums, minima and maxima. Sums of decimals are exact, so that the order in which rows came leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.domain.spec import Fold, GoldSpec, SilverSpec

NEW = "new_"
"""Prefix of the view of an input that holds its new rows only."""
FUNCTIONS: Mapping[Fold, Callable[[str], Column]] = {
    Fold.sum: F.sum,
    Fold.min: F.min,
    Fold.max: F.max,
}


def combined(stored: DataFrame, new: DataFrame, spec: GoldSpec | SilverSpec) -> DataFrame:
    """One row a key out of the stored row and the row that the query makes of new rows.

    Args:
        stored: Rows of the table.
        new: The query's result over the new rows of its input.
        spec: Key, columns and how each is folded.

    Returns:
        The key and the folded columns, in the types that are declared.
    """
    names = [quote(c) for c in (*spec.key, *spec.fold)]
    both = stored.select(*names).unionByName(new.select(*names))
    return both.groupBy(*map(quote, spec.key)).agg(
        *[
            FUNCTIONS[how](quote(name)).cast(spec.columns[name].type).alias(name)
            for name, how in spec.fold.items()
        ]
    )
