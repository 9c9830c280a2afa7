"""Merge plans: what a MERGE does, as data, so that it can be audited before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from storage.sql import quote

NEVER = "false"


@dataclass(frozen=True)
class MergePlan:
    """A MERGE of source rows `s` into a target `t`.

    Attributes:
        keys: Merge key; a pair matches where every key column is equal.
        columns: Columns that are written; the source has exactly these.
        update_when: Condition over `t` and `s` under which a match is updated.
        delete_when: Condition under which a match is deleted instead; None never deletes.
        delete_missing: Delete target rows that no source row matches.
        insert: Insert source rows that match nothing.
    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    update_when: str
    delete_when: str | None = None
    delete_missing: bool = False
    insert: bool = True

    @property
    def condition(self) -> str:
        """The join condition of the MERGE."""
        return " AND ".join(f"t.{quote(k)} = s.{quote(k)}" for k in self.keys)

    def sql(self, target: str, source: str) -> str:
        """The MERGE statement; both formats run the same text.

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
        if self.insert:
            clauses.append(f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})")
        if self.delete_missing:
            clauses.append("WHEN NOT MATCHED BY SOURCE THEN DELETE")
        return "\n".join(clauses)

    def preview(self, target: DataFrame, source: DataFrame) -> DataFrame:
        """The table as the MERGE would leave it, without writing (rule 2).

        It follows the plan's own condition, so a fault in the plan shows here before it is published.
        """
        t, s = target.alias("t"), source.alias("s")
        matched = t.join(s, F.expr(self.condition), "left")
        updated = F.expr(f"{_present(self.keys)} AND ({self.update_when})")
        kept = matched.where(F.expr(_present(self.keys))) if self.delete_missing else matched
        if self.delete_when is not None:
            deleted = f"{_present(self.keys)} AND ({self.delete_when})"
            kept = kept.where(F.expr(f"NOT coalesce({deleted}, false)"))
        current = kept.select(
            *[
                F.when(updated, F.col(f"s.{quote(c)}")).otherwise(F.col(f"t.{quote(c)}")).alias(c)
                for c in self.columns
            ]
        )
        inserted = s.join(t, F.expr(self.condition), "left_anti").select(*self.columns)
        return current.unionByName(inserted) if self.insert else current

    def marked(self, target: DataFrame, source: DataFrame) -> DataFrame:
        """The source rows with `_written`: whether the row would be inserted or would update a row."""
        t, s = target.alias("t"), source.alias("s")
        written = F.coalesce(F.expr(f"({self.update_when})"), F.lit(False))
        if self.delete_when is not None:
            written = written & ~F.coalesce(F.expr(self.delete_when), F.lit(False))
        if self.insert:
            absent = reduce(Column.__and__, [F.col(f"t.{quote(k)}").isNull() for k in self.keys])
            written = written | absent
        pairs = s.join(t, F.expr(self.condition), "left")
        return pairs.select("s.*", written.alias("_written"))

    def effective(self, target: DataFrame, source: DataFrame) -> DataFrame:
        """The source rows that would be inserted or would update a row."""
        return self.marked(target, source).where("_written").drop("_written")


def _present(keys: Sequence[str]) -> str:
    return " AND ".join(f"s.{quote(k)} IS NOT NULL" for k in keys)


def upsert_plan(keys: Sequence[str], columns: Sequence[str], sequence: str) -> MergePlan:
    """Later sequence wins; a repeat or an older row changes nothing (rule 3)."""
    return MergePlan(
        tuple(keys),
        tuple(columns),
        update_when=f"s.{quote(sequence)} > t.{quote(sequence)}",
    )


def refresh_plan(
    keys: Sequence[str], columns: Sequence[str], sequence: str, compared: Sequence[str]
) -> MergePlan:
    """As an upsert, and an equal sequence updates where a compared column differs.

    Used when a row's looked-up columns can be completed later without a new event of its own.
    """
    newer = f"s.{quote(sequence)} > t.{quote(sequence)}"
    same = f"s.{quote(sequence)} = t.{quote(sequence)}"
    return MergePlan(
        tuple(keys), tuple(columns), update_when=f"{newer} OR ({same} AND ({differs(compared)}))"
    )


def sync_plan(keys: Sequence[str], columns: Sequence[str], compared: Sequence[str]) -> MergePlan:
    """Make the table equal to the source, writing only rows that differ."""
    condition = differs(compared) if compared else NEVER
    return MergePlan(tuple(keys), tuple(columns), update_when=condition, delete_missing=True)


def differs(columns: Sequence[str]) -> str:
    """Null-safe inequality of `t` and `s` over the columns."""
    return " OR ".join(f"NOT (t.{quote(c)} <=> s.{quote(c)})" for c in columns)
