"""Merge plans: what a MERGE does, as data, so that it can be audited before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.sql import quote

NEVER = "false"
GONE = "_gone"
"""Flag of a difference: the row leaves the table."""
BEFORE = "_before"
"""Struct of the target's row that a source row meets; null where it meets none."""


@dataclass(frozen=True)
class MergePlan:
    """A MERGE of source rows `s` into a target `t`.

    Attributes:
        keys: Merge key; a pair matches where every key column is equal. A null is equal to nothing.
        columns: Columns that are written.
        update_when: Condition over `t` and `s` under which a match is updated.
        delete_when: Condition under which a match is deleted instead; None never deletes.
        insert_when: Condition over `s` under which a row that matches nothing is inserted.
        flags: Columns of the source that conditions ask for and that are not written.
        null_keys: Whether a null in the key is a value like any other, equal to another null.
    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    update_when: str
    delete_when: str | None = None
    insert_when: str = "true"
    flags: tuple[str, ...] = ()
    null_keys: bool = False

    @property
    def condition(self) -> str:
        """The join condition of the MERGE."""
        if self.null_keys:
            return same(self.keys)
        return " AND ".join(f"t.{quote(k)} = s.{quote(k)}" for k in self.keys)

    @property
    def source_columns(self) -> list[str]:
        """Columns that the source must have."""
        return [*self.columns, *self.flags]

    def sql(self, target: str, source: str) -> str:
        """The MERGE statement; Delta and Iceberg run the same text.

        Args:
            target: Quoted identifier of the table.
            source: Name of a temporary view.
        """
        assignments = ", ".join(f"t.{quote(c)} = s.{quote(c)}" for c in self.columns)
        names = ", ".join(quote(c) for c in self.columns)
        values = ", ".join(f"s.{quote(c)}" for c in self.columns)
        clauses = [f"MERGE INTO {target} t USING {quote(source)} s ON {self.condition}"]
        if self.delete_when is not None:
            clauses.append(f"WHEN MATCHED AND ({self.delete_when}) THEN DELETE")
        if self.update_when != NEVER:
            clauses.append(f"WHEN MATCHED AND ({self.update_when}) THEN UPDATE SET {assignments}")
        if self.insert_when != NEVER:
            wanted = "" if self.insert_when == "true" else f" AND ({self.insert_when})"
            clauses.append(f"WHEN NOT MATCHED{wanted} THEN INSERT ({names}) VALUES ({values})")
        return "\n".join(clauses)

    def initial(self, source: DataFrame) -> DataFrame:
        """The rows that the MERGE would leave in an empty table."""
        return source.alias("s").where(self.insert_when).select(*map(quote, self.columns))

    def preview(self, target: DataFrame, source: DataFrame) -> DataFrame:
        """The table as the MERGE would leave it, without writing.

        It follows the plan's own condition, so a fault in the plan shows here before it is published.
        """
        t, s = target.alias("t"), source.withColumn("_in_s", F.lit(True)).alias("s")
        matched = t.join(s, F.expr(self.condition), "left")
        found = "s._in_s IS NOT NULL"
        if self.delete_when is not None:
            deleted = f"{found} AND ({self.delete_when})"
            matched = matched.where(F.expr(f"NOT coalesce({deleted}, false)"))
        updated = F.expr(f"{found} AND ({self.update_when})")
        current = matched.select(
            *[
                F.when(updated, F.col(f"s.{quote(c)}")).otherwise(F.col(f"t.{quote(c)}")).alias(c)
                for c in self.columns
            ]
        )
        inserted = s.join(t, F.expr(self.condition), "left_anti").where(self.insert_when)
        return current.unionByName(inserted.select(*map(quote, self.columns)))

    def marked(self, target: DataFrame, source: DataFrame) -> DataFrame:
        """The source rows with what they would do.

        Returns:
            The source's columns; `_written`: whether the row would be inserted, or would update or delete
            a row; `_before`: the target's row that it meets, null where it meets none.
        """
        t, s = target.withColumn("_in_t", F.lit(True)).alias("t"), source.alias("s")
        written = F.coalesce(F.expr(f"({self.update_when})"), F.lit(False))
        if self.delete_when is not None:
            written = written | F.coalesce(F.expr(f"({self.delete_when})"), F.lit(False))
        met = F.col("t._in_t").isNotNull()
        inserted = ~met & F.coalesce(F.expr(f"({self.insert_when})"), F.lit(False))
        before = F.when(met, F.struct(*[F.col(f"t.{quote(c)}") for c in target.columns]))
        pairs = s.join(t, F.expr(self.condition), "left")
        return pairs.select(
            "s.*", ((written & met) | inserted).alias("_written"), before.alias(BEFORE)
        )


def newer(order: Sequence[str], one: str = "s", other: str = "t") -> str:
    """Whether `one` comes after `other` by columns of which the first counts most; nulls come first.

    Structs compare so, which a single column does not: `null < 'a'` is unknown, `struct(null) < struct('a')`
    is true. The rows of an attempt are ranked by structs too (`tasks.rows.ordering.sort_key`).
    """
    return f"{_tuple(one, order)} > {_tuple(other, order)}" if order else NEVER


def same(columns: Sequence[str], one: str = "s", other: str = "t") -> str:
    """Whether the two have equal values in the columns, null being a value."""
    return " AND ".join(f"{one}.{quote(c)} <=> {other}.{quote(c)}" for c in columns) or "true"


def _tuple(side: str, order: Sequence[str]) -> str:
    return f"struct({', '.join(f'{side}.{quote(c)}' for c in order)})"


def replaces(order: Sequence[str], *, first: bool = False) -> str:
    """Whether `s` takes the place of `t`: the later in order, or with `first` the earlier."""
    return newer(order, "t", "s") if first else newer(order)


def upsert_plan(
    keys: Sequence[str], columns: Sequence[str], order: Sequence[str], *, first: bool = False
) -> MergePlan:
    """The row that is later in order wins, with `first` the earlier; a repeat changes nothing."""
    return MergePlan(tuple(keys), tuple(columns), update_when=replaces(order, first=first))


def refresh_plan(
    keys: Sequence[str],
    columns: Sequence[str],
    order: Sequence[str],
    compared: Sequence[str],
    *,
    first: bool = False,
) -> MergePlan:
    """As an upsert, and a row of the same place in order updates where a compared column differs.

    Used when a row's looked-up columns can be completed later without a new event of its own.
    """
    return MergePlan(
        tuple(keys),
        tuple(columns),
        update_when=f"{replaces(order, first=first)} OR ({same(order)} AND ({differs(compared)}))",
    )


def removing(plan: MergePlan, flag: str, sequence: Sequence[str]) -> MergePlan:
    """The plan with delete events: a flagged row removes its match unless the match is later.

    At an equal sequence the delete wins.

    Args:
        plan: An upsert or refresh plan.
        flag: Column of the source that is true for a delete event.
        sequence: Columns of the order before any tie is broken.
    """
    later = newer(sequence, "t", "s")
    return replace(
        plan,
        update_when=f"NOT s.{quote(flag)} AND ({plan.update_when})",
        delete_when=f"s.{quote(flag)} AND NOT ({later})",
        insert_when=f"NOT s.{quote(flag)}",
        flags=(flag,),
    )


def difference_plan(keys: Sequence[str], columns: Sequence[str]) -> MergePlan:
    """Apply a difference (see `difference`): flagged rows leave, the others are written."""
    return MergePlan(
        tuple(keys),
        tuple(columns),
        update_when="true",
        delete_when=f"s.{GONE}",
        insert_when=f"NOT s.{GONE}",
        flags=(GONE,),
        null_keys=True,
    )


def difference(
    target: DataFrame, result: DataFrame, keys: Sequence[str], compared: Sequence[str]
) -> DataFrame:
    """What makes `target` equal to `result`, row by key.

    Args:
        target: Rows as they are.
        result: Rows as they should be, with the target's columns.
        keys: Columns that identify a row on both sides; a null in them is a value.
        compared: Columns whose difference is a change.

    Returns:
        The target's columns, `_gone`, and `_before`; one row a key that is new, changed or gone.
    """
    t, s = target.alias("t"), result.alias("s")
    on = same(keys)
    in_target = t.withColumn("_in_t", F.lit(True)).alias("t")
    in_result = s.withColumn("_in_s", F.lit(True)).alias("s")
    pairs = in_target.join(in_result, F.expr(on), "full")
    old, new = F.col("t._in_t").isNotNull(), F.col("s._in_s").isNotNull()
    changed = F.expr(differs(compared)) if compared else F.lit(False)
    return pairs.where(~old | ~new | changed).select(
        *[
            F.when(new, F.col(f"s.{quote(c)}")).otherwise(F.col(f"t.{quote(c)}")).alias(c)
            for c in target.columns
        ],
        (~new).alias(GONE),
        F.when(old, F.struct(*[F.col(f"t.{quote(c)}") for c in target.columns])).alias(BEFORE),
    )


def lacking(rows: DataFrame, others: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The rows whose key is not among the others'; a null in a key is a value."""
    return rows.alias("s").join(others.alias("t"), F.expr(same(keys)), "left_anti")


def differs(columns: Sequence[str]) -> str:
    """Null-safe inequality of `t` and `s` over the columns."""
    return " OR ".join(f"NOT (t.{quote(c)} <=> s.{quote(c)})" for c in columns)
