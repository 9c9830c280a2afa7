"""A table in another format: copied commit by commit, compared, and then switched to in one step.

Each commit of the table becomes one of the copy, with the same record and the rows of that version, so that
what consumed a version goes on from the same state of the copy. A commit of the copy notes the version that
it stands for: a copy that was cut off goes on where it stopped. The copy before stays until it is finished
with, and going back is the same work: what was committed since is copied back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.adapter import FormatStore
from storage.errors import ConfigurationError, TerminalError
from storage.evolution import compare
from storage.lake_store import LakeStore
from storage.placement import Copy, Placement
from storage.sql import quote
from storage.types import Commit, CommitRecord, Snapshot, TableRef, Version
from tasks.context import Context
from tasks.records import changes
from tasks.table.layout import Layout, layout

Positions = dict[str, str]
"""For a version of the earlier copy the one of the later copy, as everyone sees them."""


class DifferentRowsError(TerminalError):
    """A copy does not have the rows of its table."""


@dataclass(frozen=True)
class Moved:
    """What a command did to a table.

    Attributes:
        table: The table.
        format: Where it is now.
        before: Where it was.
        commits: Commits that were copied by this command.
        rows: Rows of the current version.
    """

    table: TableRef
    format: str
    before: str
    commits: int
    rows: int


def migrate(context: Context, store: LakeStore, ref: TableRef, to: str) -> Moved:
    """Move a table to another format; call it while no run of the domain is under way.

    A repeat finds the table moved, or goes on with the copy.

    Raises:
        ConfigurationError: The table, or a copy in the way of this one, does not allow it.
        DifferentRowsError: The copy has other rows; the table stays where it is.
    """
    resume_removal(context, store, ref)
    place = store.placements.of(ref)
    if not store.exists(ref):
        raise ConfigurationError(
            f"{ref.label} does not exist in this lake",
            advice=f"See the tables: lakehouse tables domain={ref.domain}",
        )
    if place.current.format == to:
        return Moved(ref, to, to, 0, store.stats(ref).rows)
    place = _announced(store, ref, place, to)
    source, target = place.current, place.target
    assert target is not None  # noqa: S101 - announced
    old, new = store.adapter(source.format), store.adapter(target.format)
    with old.locked(ref):
        remedy = "--finish" if target == place.kept else "--undo"
        positions, written = _Copying(
            ref, source, target, old, new, remedy, layout(context.domain.find(ref))
        ).run()
        changes.hand_on(context, ref, source.format, target.format)
        _switch(store, ref, place, target, positions)
    return Moved(ref, to, source.format, written, store.stats(ref).rows)


def undo(context: Context, store: LakeStore, ref: TableRef) -> Moved:
    """Move a table back to where it was; a copy that was cut off is removed.

    Raises:
        ConfigurationError: It was not moved, or the copy before is gone.
    """
    resume_removal(context, store, ref)
    place = store.placements.of(ref)
    if place.target is not None and place.target != place.kept:
        _leave(context, store, ref, replace(place, target=None), place.target)
        return Moved(ref, place.current.format, place.current.format, 0, store.stats(ref).rows)
    if place.kept is None:
        raise ConfigurationError(
            f"{ref.label} has no earlier copy to go back to; it is in {place.current.format}",
            advice=f"Move it: lakehouse migrate {ref.label} --to FORMAT domain={ref.domain}",
        )
    return migrate(context, store, ref, place.kept.format)


def finish(context: Context, store: LakeStore, ref: TableRef) -> Moved:
    """Remove the copy that an undo would go back to; positions in it stay good.

    That is also the way out of an undo that cannot be completed.

    Raises:
        ConfigurationError: A move to a further copy was cut off.
    """
    resume_removal(context, store, ref)
    place = store.placements.of(ref)
    here = place.current.format
    if place.target is not None and place.target != place.kept:
        raise ConfigurationError(
            f"{ref.label}: a move to {place.target.format} was cut off",
            advice=f"Run it again, or: lakehouse migrate {ref.label} --undo domain={ref.domain}",
        )
    if place.kept is not None:
        _leave(context, store, ref, replace(place, kept=None, target=None), place.kept)
    return Moved(ref, here, place.kept.format if place.kept else here, 0, store.stats(ref).rows)


def resume_removal(context: Context, store: LakeStore, ref: TableRef) -> None:
    """Go on with a removal that was cut off."""
    place = store.placements.of(ref)
    if place.leaving is not None:
        _leave(context, store, ref, place, place.leaving)


def _leave(context: Context, store: LakeStore, ref: TableRef, place: Placement, copy: Copy) -> None:
    store.placements.write(
        ref, replace(place, leaving=copy)
    )  # from here on nothing goes back to it
    store.adapter(copy.format).drop(ref)
    changes.forget(context, ref, copy.format)
    store.placements.write(ref, replace(place, leaving=None))


def _announced(store: LakeStore, ref: TableRef, place: Placement, to: str) -> Placement:
    """Write down the copy that is about to be made, so that it is known as one when it is found."""
    if place.target is not None and place.target.format == to:
        return place
    if place.kept is not None and place.kept.format == to:
        place = replace(place, target=place.kept)
    elif place.kept is not None or place.target is not None:
        other = (place.target or place.kept or place.current).format
        raise ConfigurationError(
            f"{ref.label}: there is a copy of it in {other} already",
            advice=f"Undo or finish that move first: lakehouse migrate {ref.label} --undo (or --finish) "
            f"domain={ref.domain}",
        )
    elif store.adapter(to).exists(ref):
        raise ConfigurationError(
            f"{ref.label}: this lake has another table of that name in {to}",
            advice="Formats side by side are separate lakes in one folder: run with "
            f"format.{ref.layer}={to} to use that table, or move to another paths.lake.",
        )
    else:
        number = place.last + 1
        place = replace(place, target=Copy(to, number), last=number)
    store.placements.write(ref, place)
    return place


def _switch(
    store: LakeStore, ref: TableRef, place: Placement, target: Copy, positions: Positions
) -> None:
    """The one step in which the table moves."""
    earlier = {
        old: positions[version]
        for old, version in place.positions.items()
        if version in positions and not target.owns(old)
    }
    moved = replace(
        place, current=target, kept=place.current, target=None, positions=earlier | positions
    )
    store.placements.write(ref, moved)


@dataclass(frozen=True)
class _Copying:
    """The work of one move: the copy that is read, and the one that is written.

    Attributes:
        remedy: The option of `lakehouse migrate` that removes the written one.
        layout: How the written one is laid out.
    """

    ref: TableRef
    source: Copy
    target: Copy
    old: FormatStore
    new: FormatStore
    remedy: str
    layout: Layout

    def run(self) -> tuple[Positions, int]:
        """Copy what the target lacks, each version compared; all positions, and how many were copied."""
        ref, old, new = self.ref, self.old, self.new
        history = old.history(ref)[::-1]
        first = old.read(ref, history[0].version)
        if not new.exists(ref):
            new.create(ref, first.schema, **self.layout)
        there = new.history(ref)[::-1]
        origins = _noted(history, self.source, self.target)
        if history[0].record is None and first.isEmpty():
            origins[self.source.shown(history[0].version)] = self.target.shown(there[0].version)
        copies = {noted: v for v, noted in _noted(there, self.target, self.source).items()}
        positions, written = copies | origins, 0
        for place, entry in enumerate(history):
            shown = self.source.shown(entry.version)
            if shown not in positions:
                commit = self._replay(entry, _record(history[: place + 1], shown), positions)
                positions[shown] = self.target.shown(commit.version)
                written += not commit.repeated
            if shown not in origins:  # a copy of an attempt that was cut off is compared as well
                copied = new.read(ref, self.target.native(Version(positions[shown])))
                self._compare(shown, old.read(ref, entry.version), copied)
        self._compare("now", old.read(ref), new.read(ref))
        return positions, written

    def _replay(self, entry: Snapshot, record: CommitRecord, positions: Positions) -> Commit:
        """Make one commit of the table one of the copy."""
        ref, new = self.ref, self.new
        rows = self.old.read(ref, entry.version)
        if entry.restored is not None:
            to = Version(positions[self.source.shown(entry.restored)])
            commit = new.rollback(ref, self.target.native(to), record)
            self._with_columns(rows)
            return commit
        if not self._with_columns(rows):
            return new.replace(ref, rows, record)
        if record.is_checkpoint:
            return new.checkpoint(ref, record)
        if record.files:
            numbers = [file.delivery for file in record.files]
            return new.append(ref, rows.where(F.col("_delivery").isin(numbers)), record)
        return new.overwrite(ref, rows, record)

    def _compare(self, version: str, rows: DataFrame, copied: DataFrame) -> None:
        """Refuse a copy that has other rows; columns that only the copy has must be null."""
        more = [name for name in copied.columns if name not in rows.columns]
        given = " or ".join(f"{quote(name)} is not null" for name in more)
        found, wanted = digest(copied, rows.columns), digest(rows, rows.columns)
        if found != wanted or (given and not copied.where(given).isEmpty()):
            label = self.ref.label
            raise DifferentRowsError(
                f"{label}: the copy of version {version} has other rows ({found[0]:,} rows and hash "
                f"{found[1:]}, wanted {wanted[0]:,} and {wanted[1:]})",
                advice=f"The table stays where it was. Remove the copy: lakehouse migrate {label} "
                f"{self.remedy} domain={self.ref.domain}",
            )

    def _with_columns(self, rows: DataFrame) -> bool:
        """Give the copy the columns of these rows; False where it cannot take them in place."""
        difference = compare(self.new.columns(self.ref), rows.schema)
        if difference.breaking:
            return False
        if difference.changes:
            self.new.evolve(self.ref, difference.changes)
        return True


def _noted(history: Sequence[Snapshot], own: Copy, other: Copy) -> Positions:
    """The versions of a copy that were made from versions of another one, with these."""
    notes = {own.shown(e.version): e.record.copied for e in history if e.record}
    return {version: noted for version, noted in notes.items() if noted and other.owns(noted)}


def _record(history: Sequence[Snapshot], shown: str) -> CommitRecord:
    """The record for the copy of the last of these commits; one of another program has the one before it."""
    record = history[-1].record
    if record is None:
        before = next((e.record for e in reversed(history) if e.record), CommitRecord("", ""))
        record = replace(before, token=f"foreign-{shown}", files=(), rows={})
    return record.as_copy(shown)


def digest(rows: DataFrame, columns: Sequence[str]) -> tuple[int, int, int]:
    """Number of rows and two sums of hashes of all columns, whatever the order of the rows."""
    values = [part for c in map(quote, columns) for part in (F.col(c).isNull(), F.col(c))]
    sums = [
        F.sum(F.xxhash64(F.lit(seed), *values).cast("decimal(38,0)")) for seed in ("one", "two")
    ]
    count, one, two = rows.agg(F.count("*"), *sums).collect()[0]
    return int(count), int(one or 0), int(two or 0)
