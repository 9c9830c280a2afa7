"""A restated span of time equals a full rebuild, and touches nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.plans import MergePlan
from storage.types import CommitRecord, TableRef
from tasks.context import Attempt, Context
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import DomainSpec
from tasks.ingest import bronze
from tasks.manage import backfill
from tasks.manage.backfill import Request
from tasks.merge import quarantine
from tasks.notes import BackfillPart
from tasks.records import decisions, releases
from tasks.records.accounting import balance
from tasks.records.backfill_ledger import State, ledger
from tasks.rows.partitions import Partition, Unit
from tasks.run_table import check, publish
from tests.conftest import MakeLake
from tests.property.compare import assert_same, plain
from tests.property.delivery import File, plan_delivery, write
from tests.property.domain import load_domain
from tests.property.driver import contexts, rows_of, run_batch
from tests.property.events import Record, make_log
from tests.property.model import Row
from tests.sessions import BOTH

START, END = dt.date(2024, 1, 30), dt.date(2024, 2, 4)
DAY = dt.date(2024, 2, 3)
FED = ("accounts_soft", "account_events", "accounts_history")
FED_KEYS = {
    "accounts_soft": ["account_id"],
    "account_events": ["account_id", "changed_at", "version"],
    "accounts_history__events": ["_event_id"],
}
KEYS = {
    "silver.accounts_soft": ["account_id"],
    "silver.accounts_history": ["account_id", "valid_from"],
    "silver.account_events": ["account_id", "changed_at", "version"],
    "silver.accounts_history__events": ["_event_id"],
    "gold.monthly_events": ["month", "plan"],
    "gold.current_plans": ["plan", "seats"],
}
OWN = {"_is_deleted", "_event_id"}


class Lakeful:
    """A lake with a domain in it, driven by plain calls."""

    def __init__(
        self,
        spark: SparkSession,
        make_lake: MakeLake,
        landing: Path,
        format_name: str,
        labels: Iterable[str] = KEYS,
    ) -> None:
        self.spark, self.lake, self.landing = spark, make_lake(format_name), landing
        self.domain: DomainSpec = load_domain()
        self.labels = list(labels)
        for kind in (self.domain.silver, self.domain.gold):
            for name in set(kind) - {label.partition(".")[2] for label in labels}:
                del kind[name]
        self.number = 0

    @property
    def store(self) -> TableStore:
        return self.lake.store(self.spark)

    def context(self) -> Context:
        return self._contexts()()

    def _contexts(self, *, rebuild: bool = False) -> Callable[[], Context]:
        return contexts(
            self.spark, self.lake, self.domain, self.landing, number=self.number, rebuild=rebuild
        )

    def load(self, *, rebuild: bool = False) -> dict[str, Attempt | None]:
        self.number += 1
        return run_batch(self._contexts(rebuild=rebuild), self.domain)

    def restate(
        self,
        tables: Sequence[str],
        start: dt.date = START,
        end: dt.date = END,
        *,
        unit: Unit = Unit.day,
        follow: bool = True,
    ) -> list[Attempt]:
        """Restate a span, table by table, and bring what reads them up to date before it is restated."""
        self.number += 1
        request = Request(tuple(tables), start, end, unit, again=True)
        planned = backfill.planned(self.context(), request)
        done = []
        for table in planned.tables:
            if self.domain.spec(table).is_derived and follow:
                run_batch(self._contexts(), self.domain)
            for partition in planned.partitions:
                context = self.context()
                attempt = backfill.stage(context, table, planned.part(partition))
                gate = check(context, attempt)
                assert not gate.verdict.blocked, f"{table.label}: {gate.verdict.reasons}"
                publish(context, attempt, gate)
                done.append(attempt)
        if follow:
            run_batch(self._contexts(), self.domain)
        states = set(ledger(self.store, planned).values())
        assert {entry.state for entry in states} == {State.done}
        return done

    def tables(self) -> dict[str, list[Row]]:
        """The own columns of every table."""
        found = {}
        for label in self.labels:
            rows = rows_of(self.store, self.domain.ref(label))
            found[label] = [
                {c: plain(v) for c, v in row.items() if not c.startswith("_") or c in OWN}
                for row in rows
            ]
        return found

    def quarantined(self, name: str) -> list[tuple[int, str]]:
        held = rows_of(self.store, self.domain.ref(f"silver.{name}__quarantine"))
        return sorted(
            (row["_sequence"], row["_rule"])
            for row in held
            if str(START) <= (row["changed_at"] or "") < str(END)
        )

    def spoil(self, label: str, plan: MergePlan, rows: Callable[[DataFrame], DataFrame]) -> None:
        """Change rows of a table by hand, at the position where it is."""
        ref = self.domain.ref(label)
        head = self.store.head(ref).record
        assert head is not None
        record = replace(head, token=f"by hand {label} {self.number}", rows={}, notes={})
        self.number += 1
        store = self.store
        folder = str(self.landing.parent / f"spoiled_{self.number}")
        rows(store.read(ref)).write.parquet(folder)
        store.merge(ref, store.session.read.parquet(folder), plan, record)

    def deliver(self, *, batches: int) -> None:
        """Load a random log, and two accounts that changed on the first day only."""
        write((_file("events_january.csv", ["jan0", "jan1"], START),), self.landing)
        random = Random(7)
        for batch in plan_delivery(random, make_log(random, events=160, keys=24), batches=batches):
            write(batch, self.landing)
            self.load()


@pytest.fixture(params=BOTH)
def lakeful(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Lakeful:
    """Two loaded batches."""
    made = Lakeful(spark, make_lake, tmp_path / "landing", request.param)
    made.deliver(batches=2)
    return made


def _file(name: str, accounts: Sequence[str], day: dt.date) -> File:
    """One event of each account on a day; that of `bad` breaks a rule."""
    seats = {"bad": "-1"}
    records = [
        Record(account, f"{day} 10:00:00", "9", "u", "pro", seats.get(account, "1"), "1", "")
        for account in accounts
    ]
    return File(name, tuple(records))


def assert_equal(found: dict[str, list[Row]], wanted: dict[str, list[Row]]) -> None:
    for label, key in KEYS.items():
        assert_same(found[label], wanted[label], key, name=label)


def spoil_day(lakeful: Lakeful, label: str, key: list[str]) -> None:
    """Of one day, change a third of the rows, remove a third, and add rows that nobody delivered."""
    ref = lakeful.domain.ref(label)
    columns = tuple(f.name for f in lakeful.store.read(ref).schema.fields)
    plan = MergePlan(tuple(key), columns, "not s._out", "s._out", flags=("_out",))

    def spoiled(rows: DataFrame) -> DataFrame:
        day = rows.where(f"to_date(changed_at) = '{DAY}'").withColumn(
            "_kind", F.pmod(F.hash(*key), F.lit(3))
        )
        changed = day.where("_kind = 0").withColumn("plan", F.lit("\U0001f601 spoiled"))
        removed = day.where("_kind = 1")
        added = day.where("_kind = 2").withColumn(key[0], F.concat(F.lit("x"), F.col(key[0])))
        out = F.col("_kind") == 1
        return changed.unionByName(removed).unionByName(added).withColumn("_out", out).drop("_kind")

    assert lakeful.store.read(ref).where(f"to_date(changed_at) = '{DAY}'").count() > 2
    lakeful.spoil(label, plan, spoiled)


@pytest.mark.parametrize("format_name", BOTH)
def test_a_restated_day_is_as_it_was(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str
) -> None:
    label = "silver.accounts_soft"
    made = Lakeful(spark, make_lake, tmp_path / "landing", format_name, [label])
    made.deliver(batches=1)
    before = made.tables()[label]
    spoil_day(made, label, KEYS[label])
    assert made.tables()[label] != before
    (attempt,) = made.restate(["accounts_soft"], DAY, DAY + dt.timedelta(days=1), follow=False)
    assert attempt.rows["published"]
    assert attempt.rows["removed"]
    assert_same(made.tables()[label], before, KEYS[label], name=label)


@pytest.mark.slow
def test_a_restated_span_equals_a_rebuild(lakeful: Lakeful) -> None:
    before = lakeful.tables()
    _a_day_without_a_difference_changes_no_row_and_moves_no_position(lakeful)
    assert_equal(lakeful.tables(), before)

    for table, key in FED_KEYS.items():
        spoil_day(lakeful, f"silver.{table}", key)
    spoiled = lakeful.tables()
    others = lakeful.restate(["account_events"], START, DAY, follow=False)
    assert not any(s.rows["published"] or s.rows["removed"] for s in others)
    key = KEYS["silver.account_events"]
    assert_same(
        lakeful.tables()["silver.account_events"], spoiled["silver.account_events"], key, name="day"
    )
    done = lakeful.restate(FED, DAY, DAY + dt.timedelta(days=1))
    fed = [s for s in done if s.table.name in FED_KEYS]
    assert all(s.rows["published"] and s.rows["removed"] for s in fed)
    assert_equal(lakeful.tables(), before)

    _gold_is_restated_by_the_groups_of_a_span(lakeful)
    _deliveries_that_wait_are_not_taken_in(lakeful)
    _what_a_rejected_batch_had_published_leaves_as_in_a_rebuild(lakeful)


def _a_day_without_a_difference_changes_no_row_and_moves_no_position(lakeful: Lakeful) -> None:
    ref = lakeful.domain.ref("silver.accounts_soft")
    inputs = _head(lakeful.store, ref).inputs
    (attempt,) = lakeful.restate(["accounts_soft"], DAY, DAY + dt.timedelta(days=1), follow=False)
    rows = attempt.rows
    assert rows["ingested"]
    assert not rows["published"] + rows["removed"] + rows["refreshed"]
    assert rows["ingested"] == rows["deduplicated"] + rows["quarantined"]
    assert _head(lakeful.store, ref).inputs == inputs
    assert _head(lakeful.store, ref).is_checkpoint


def _gold_is_restated_by_the_groups_of_a_span(lakeful: Lakeful) -> None:
    ref = lakeful.domain.ref("gold.monthly_events")
    before = lakeful.tables()[ref.label]
    assert len(before) > 1
    columns = tuple(f.name for f in lakeful.store.read(ref).schema.fields)
    lakeful.spoil(
        ref.label,
        MergePlan(("month", "plan"), columns, "true", null_keys=True),
        lambda rows: rows.where(f"month = '{DAY:%Y-%m}-01'").withColumn(
            "events", F.lit(-1).cast("bigint")
        ),
    )
    assert lakeful.tables()[ref.label] != before
    (attempt,) = lakeful.restate([ref.label], DAY.replace(day=1), DAY.replace(month=3, day=1))
    spoiled = [row for row in before if row["month"] == DAY.replace(day=1)]
    assert any(row["plan"] is None for row in spoiled)
    assert attempt.rows["groups"] == attempt.rows["computed"] == len(spoiled) < len(before)
    assert_same(lakeful.tables()[ref.label], before, ["month", "plan"], name=ref.label)


def _deliveries_that_wait_are_not_taken_in(lakeful: Lakeful) -> None:
    before = lakeful.tables()["silver.accounts_soft"]
    names = ["jan0", "new0", "new1", "bad"]
    write((_file("events_later.csv", names, DAY),), lakeful.landing)
    context = lakeful.context()
    arrived = bronze.stage(context, lakeful.domain.ref("bronze.events"))
    assert arrived is not None
    publish(context, arrived, check(context, arrived))
    (attempt,) = lakeful.restate(["accounts_soft"], DAY, DAY + dt.timedelta(days=1), follow=False)
    assert not attempt.rows["published"]
    assert_same(lakeful.tables()["silver.accounts_soft"], before, ["account_id"], name="soft")
    lakeful.load()
    assert len(lakeful.tables()["silver.accounts_soft"]) > len(before)


def _what_a_rejected_batch_had_published_leaves_as_in_a_rebuild(lakeful: Lakeful) -> None:
    ref = lakeful.domain.ref("bronze.events")
    before = lakeful.tables()
    decisions.resolve(
        lakeful.store, lakeful.domain.name, batch_id=_head(lakeful.store, ref).files[0].batch_id,
        table_name=ref.label, decision=decisions.Decision.rejected, reason="wrong", by="test",
    )  # fmt: skip
    done = lakeful.restate([*FED, "gold.monthly_events"], unit=Unit.month)
    restated, held = lakeful.tables(), {name: lakeful.quarantined(name) for name in FED}
    assert any(s.rows.get("removed") for s in done)
    assert any(s.rows.get("refreshed") for s in done)
    assert len(restated["silver.accounts_soft"]) < len(before["silver.accounts_soft"])

    lakeful.load(rebuild=True)

    assert_equal(restated, lakeful.tables())
    assert held == {name: lakeful.quarantined(name) for name in FED}


def _head(store: TableStore, ref: TableRef) -> CommitRecord:
    record = store.head(ref).record
    assert record is not None
    return record


@pytest.mark.parametrize("format_name", BOTH)
def test_a_restatement_cut_off_after_the_quarantine_counts_its_rows_once(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str
) -> None:
    made = Lakeful(spark, make_lake, tmp_path / "landing", format_name, ["silver.accounts_soft"])
    ref, source = made.domain.ref("silver.accounts_soft"), made.domain.ref("bronze.events")
    write((_file("events_later.csv", ["good", "bad"], DAY),), made.landing)
    made.load()
    _let_in_and_think_better_of_it(made, ref)
    partition = Partition(Unit.day.value, DAY, DAY + dt.timedelta(days=1))
    cut_off = backfill.stage(made.context(), ref, BackfillPart("a-1", partition))
    quarantine.enter(made.context(), cut_off)
    assert quarantine.holds(made.context(), ref)

    backfill.prepare(made.context(), ref)

    assert not quarantine.holds(made.context(), ref)
    (attempt,) = made.restate(["accounts_soft"], DAY, DAY + dt.timedelta(days=1), follow=False)
    assert attempt.notes.accounts is not None
    assert list(attempt.notes.accounts.values()) == [{"quarantined": 1, "restated": -1}]
    account = balance(made.store, ref, quarantine_of(ref), source)
    assert (account.missing(), account.surplus, account.held, account.owed) == ([], 0, 1, 1)
    backfill.prepare(made.context(), ref)
    assert quarantine.holds(made.context(), ref)

    planned = backfill.planned(made.context(), Request(("accounts_soft",), DAY, END, Unit.day))
    assert [entry.state for entry in ledger(made.store, planned).values()] == [State.done]
    made.store.rollback(ref, made.store.history(ref)[1].version, CommitRecord("r", "undone"))
    assert [entry.state for entry in ledger(made.store, planned).values()] == [State.missing]


def _let_in_and_think_better_of_it(made: Lakeful, ref: TableRef) -> None:
    """Waive the rule of the one row in quarantine, take it in, and withdraw the waiver."""
    (held,) = rows_of(made.store, quarantine_of(ref))
    asked = releases.request(
        made.store, ref, {held["_sequence"]: held["_rule"]}, action=releases.Action.waive,
        chosen_by="", reason="agreed", by="test",
    )  # fmt: skip
    made.load()
    assert len(made.tables()[ref.label]) == 2
    releases.withdraw(made.store, ref, asked.request_id, reason="not agreed", by="test")
