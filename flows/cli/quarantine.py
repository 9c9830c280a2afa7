"""Commands on rows kept out of silver: quarantine list, show, release, withdraw, check."""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import Config
from flows.cli.rows import SHOWN_ROWS, print_rows, reader_of, short
from flows.cli.run import STATUS, run
from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.types import TableRef
from tasks.domain.schemas import quarantine_of, released_of
from tasks.domain.spec import EVENTS, DomainSpec, dependencies
from tasks.merge import quarantine
from tasks.ops.tables import COUNTS
from tasks.records import accounting, releases
from tasks.rows.frames import UNPUBLISHABLE

if TYPE_CHECKING:
    from flows.reading import Reader

Options = Callable[[Callable[..., Any]], Callable[..., Any]]


@click.group("quarantine")
def quarantine_group() -> None:
    """Look at rows that are kept out of silver, and let them in."""


def _chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose rows of a quarantine."""
    options: list[Options] = [
        click.option("--rule", default="", help="Only rows that break this rule."),
        click.option("--batch", default="", help="Only rows of this delivery."),
        click.option("--key", "keys", multiple=True, help="COLUMN=VALUE as delivered; repeatable."),
    ]
    return reduce(lambda made, option: option(made), reversed(options), command)


@quarantine_group.command("list")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_command(overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Count the rows in quarantine by table and rule."""
    reader = reader_of(overrides)
    rows = [
        {"table": releases.name_of(ref)} | counted
        for ref in reader.config.domain.merged()
        if _has_rows(reader.store, quarantine_of(ref))
        for counted in _by_rule(reader.table(quarantine_of(ref)))
    ]
    print_rows(rows, as_json=as_json, title=f"rows in quarantine, {reader.config.domain.name}")


@quarantine_group.command("show")
@click.argument("table")
@click.argument("overrides", nargs=-1)
@_chosen
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=SHOWN_ROWS,
    show_default=True,
    help="How many rows to show.",
)
@click.option("--released", is_flag=True, help="Rows that have left, instead of those there.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show_command(
    table: str,
    overrides: tuple[str, ...],
    rule: str,
    batch: str,
    keys: tuple[str, ...],
    *,
    limit: int,
    released: bool,
    as_json: bool,
) -> None:
    """Show rows in quarantine as they were delivered, with rule and reason."""
    reader = reader_of(overrides)
    ref = _fed_table(reader.config.domain, table)
    rows = _left(reader, ref) if released else _held(reader, ref)
    found = _filtered(rows, rule, batch, keys)
    shown = [_readable(row) for row in found.slice(0, limit).to_pylist()]
    if not as_json:
        shown = [{name: short(value) for name, value in row.items()} for row in shown]
    what = "rows that left the quarantine" if released else "rows in quarantine"
    title = f"{releases.name_of(ref)}: {found.num_rows:,} {what}"
    print_rows(shown, as_json=as_json, title=title)


@quarantine_group.command("release")
@click.argument("table")
@click.argument("overrides", nargs=-1)
@_chosen
@click.option("--waive", is_flag=True, help="Publish the rows although they break their rule.")
@click.option("--reason", required=True, help="Why; kept with the request.")
@click.option("--no-run", is_flag=True, help="Only record the request; the next run follows it.")
def release_command(
    table: str,
    overrides: tuple[str, ...],
    rule: str,
    batch: str,
    keys: tuple[str, ...],
    *,
    waive: bool,
    reason: str,
    no_run: bool,
) -> int:
    """Let rows out of quarantine: judged again by the rules as they are now, and merged in order.

    Rows that are good now leave the quarantine; the others stay. With --waive the rows are published
    despite the rule that they are held by, once and in every rebuild.
    """
    reader = reader_of(overrides)
    ref = _fed_table(reader.config.domain, table)
    name, chosen_by = releases.name_of(ref), _in_words(rule, batch, keys)
    rows = _filtered(_held(reader, ref), rule, batch, keys)
    rules = dict(zip(rows["_sequence"].to_pylist(), rows["_rule"].to_pylist(), strict=True))
    if not rules:
        raise ConfigurationError(
            f"{name}: no row in quarantine{chosen_by and f' with {chosen_by}'}",
            advice=f"See what is there: lakehouse quarantine list domain={ref.domain}",
        )
    if waive:
        _refuse_waiver(name, rules, chosen_by)
    made = releases.request(
        reader.store, ref, rules,
        action=releases.Action.waive if waive else releases.Action.judge,
        chosen_by=chosen_by, reason=reason, by=getpass.getuser(),
    )  # fmt: skip
    does = "let in" if waive else "to be judged again"
    many = "row" if len(rules) == 1 else "rows"
    click.echo(
        f"request {made.request_id} by {made.requested_by}: {len(rules):,} {many} of {name} {does}"
    )
    if no_run:
        click.echo(f"the next run follows it: lakehouse run domain={ref.domain}")
        return 0
    status = run(_run_overrides(reader.config, ref, overrides))
    _say_what_left(reader, ref, rules)
    if status == STATUS["blocked"]:
        click.echo(
            f"to give it up: lakehouse quarantine withdraw {name} {made.request_id} --reason ..."
        )
    return status


@quarantine_group.command("withdraw")
@click.argument("table")
@click.argument("request_id")
@click.argument("overrides", nargs=-1)
@click.option("--reason", required=True, help="Why; kept with the request.")
def withdraw_command(table: str, request_id: str, overrides: tuple[str, ...], reason: str) -> None:
    """Take a request back: no run and no rebuild follows it any more.

    What it has published already stays until the table is rebuilt.
    """
    reader = reader_of(overrides)
    ref = _fed_table(reader.config.domain, table)
    releases.withdraw(reader.store, ref, request_id, reason=reason, by=getpass.getuser())
    click.echo(f"request {request_id} of {releases.name_of(ref)} withdrawn")


@quarantine_group.command("check")
@click.argument("overrides", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def check_command(overrides: tuple[str, ...], *, as_json: bool) -> int:
    """Compare what was delivered with what became of it, for each table fed row by row.

    A table that is computed from others states the versions that it was computed from instead.
    """
    reader = reader_of(overrides)
    domain, store = reader.config.domain, reader.store
    fed = domain.merged()
    balances = {ref: _balance(store, domain, ref) for ref in fed if store.exists(ref)}
    rows = [_account(reader, ref, balance) for ref, balance in balances.items()]
    derived = [
        {"table": ref.label, "computed_from": dict(record.inputs)}
        for ref in domain.computed()
        if ref not in fed and store.exists(ref)
        if (record := store.head(ref).record) is not None
    ]
    if as_json:
        click.echo(json.dumps({"fed": rows, "derived": derived}, indent=2, default=str))
    else:
        print_rows(rows, title="rows delivered and what became of them")
        print_rows([_joined(row) for row in derived], title="tables computed from others")
    return 1 if any(row["lost"] for row in rows) else 0


COMMANDS = (quarantine_group,)


def _fed_table(domain: DomainSpec, label: str) -> TableRef:
    known = {releases.name_of(ref): ref for ref in domain.merged()}
    name = label.removeprefix("silver.").removesuffix(EVENTS).removesuffix("__quarantine")
    if f"silver.{name}" not in known:
        raise ConfigurationError(
            f"{label}: no table of domain {domain.name} with a quarantine is called so",
            advice=f"Tables: {', '.join(known)}",
        )
    return known[f"silver.{name}"]


def _has_rows(store: TableStore, ref: TableRef) -> bool:
    return store.exists(ref) and store.stats(ref).rows > 0


def _held(reader: Reader, ref: TableRef) -> pa.Table:
    return reader.table(reader.ref(quarantine_of(ref).label))


def _left(reader: Reader, ref: TableRef) -> pa.Table:
    """The history; rows noted for a commit that was never made are passed over."""
    history = released_of(ref)
    if not reader.store.exists(history):
        return pa.table(
            {name: pa.array([], pa.string()) for name, _ in quarantine.RELEASED_COLUMNS}
        )
    rows = reader.table(history)
    tokens = [e.record.token for e in reader.store.history(ref) if e.record is not None]
    return rows.filter(pc.is_in(rows["_merge_id"], pa.array(tokens, pa.string())))


def _by_rule(rows: pa.Table) -> list[dict[str, Any]]:
    columns = [
        ("_quarantined_at", "min"),
        ("_quarantined_at", "max"),
        ("_batch_id", "count_distinct"),
    ]
    counted = rows.group_by("_rule").aggregate([*columns, ("_rule", "count")])
    return [
        {
            "rule": row["_rule"],
            "rows": row["_rule_count"],
            "batches": row["_batch_id_count_distinct"],
            "oldest": row["_quarantined_at_min"],
            "newest": row["_quarantined_at_max"],
        }
        for row in sorted(counted.to_pylist(), key=lambda row: str(row["_rule"]))
    ]


def _filtered(rows: pa.Table, rule: str, batch: str, keys: tuple[str, ...]) -> pa.Table:
    wanted = dict(_pair(key, rows.schema.names) for key in keys)
    wanted |= {name: value for name, value in (("_rule", rule), ("_batch_id", batch)) if value}
    for name, value in wanted.items():
        rows = rows.filter(pc.equal(rows[name].cast(pa.string()), value))
    return rows


def _pair(key: str, columns: list[str]) -> tuple[str, str]:
    name, equals, value = key.partition("=")
    if not equals or name not in columns:
        raise ConfigurationError(
            f"--key {key}: not COLUMN=VALUE of a column in quarantine",
            advice=f"Columns: {', '.join(columns)}",
        )
    return name, value


def _in_words(rule: str, batch: str, keys: tuple[str, ...]) -> str:
    named = [f"rule={rule}" if rule else "", f"batch={batch}" if batch else "", *keys]
    return ", ".join(part for part in named if part)


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The delivered columns, then where the row is from and why it is here."""
    own = {name: value for name, value in row.items() if not name.startswith("_")}
    last = ("_batch_id", "_record_number", "_rule", "_reason", "_quarantined_at", "_released_as",
            "_request_id", "_released_at", "_run_id")  # fmt: skip
    return own | {name: row[name] for name in last if name in row}


def _refuse_waiver(name: str, rules: Mapping[int, str], chosen_by: str) -> None:
    if not chosen_by:
        raise ConfigurationError(
            f"{name}: a waiver names its rows", advice="Give --rule, --batch or --key."
        )
    hopeless = Counter(rule for rule in rules.values() if rule in UNPUBLISHABLE)
    if hopeless:
        counted = ", ".join(f"{rows:,} of rule {rule}" for rule, rows in hopeless.items())
        raise ConfigurationError(
            f"{name}: rows without a readable key, sequence and values cannot be published: {counted}",
            advice="Choose others with --rule, or deliver corrected rows.",
        )


def _run_overrides(config: Config, ref: TableRef, overrides: tuple[str, ...]) -> list[str]:
    """Overrides of a run of the table and all that is computed from it."""
    graph = dependencies(config.domain)
    wanted = [ref.label]
    for label in (r.label for r in config.domain.tables()):
        if label not in wanted and set(graph[label]) & set(wanted):
            wanted.append(label)
    labels = dict.fromkeys(label.removesuffix(EVENTS) for label in wanted)
    kept = [o for o in overrides if o.split("=", 1)[0] not in ("tables", "layers")]
    return [*kept, f"tables=[{','.join(labels)}]", "layers=[silver,gold]"]


def _say_what_left(reader: Reader, ref: TableRef, rules: Mapping[int, str]) -> None:
    rows = _held(reader, ref)
    stay = rows.filter(pc.is_in(rows["_sequence"], pa.array(list(rules), pa.int64())))
    by_rule = Counter(stay["_rule"].to_pylist())
    still = ", ".join(f"{count:,} {rule}" for rule, count in by_rule.items())
    text = f"{len(rules) - stay.num_rows:,} of {len(rules):,} rows left the quarantine"
    click.echo(f"{text}; still there: {still}" if still else text)


def _balance(store: TableStore, domain: DomainSpec, ref: TableRef) -> accounting.Balance:
    source = domain.ref(domain.silver[ref.name].source or "")
    return accounting.balance(store, ref, quarantine_of(ref), source)


def _account(reader: Reader, ref: TableRef, balance: accounting.Balance) -> dict[str, Any]:
    rows = balance.rows
    held = Counter(_held(reader, ref)["_batch_id"].to_pylist()) if balance.held else Counter()
    lost = [*balance.missing(), *balance.missing_of_batches(held)]
    notes = {
        "rows more, of an attempt that was cut off": balance.surplus,
        "rows left with a delivery that was rolled back": rows[accounting.RECALLED],
    }
    return {
        "table": releases.name_of(ref),
        "delivered": balance.delivered,
        **{name: rows[name] for name in COUNTS if name != "ingested"},
        "in quarantine": balance.held,
        "lost": "; ".join(lost),
        "note": "; ".join(f"{count:,} {text}" for text, count in notes.items() if count),
    }


def _joined(row: dict[str, Any]) -> dict[str, str]:
    made = ", ".join(f"{label} at {version}" for label, version in row["computed_from"].items())
    return {"table": row["table"], "computed from": made}
