"""Each problem of a domain is named with its key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.domain.spec import (
    ColumnSpec,
    DomainSpec,
    EndpointSpec,
    Envelope,
    FileFormat,
    Fold,
    PartitionSpec,
    PushSpec,
    Rounding,
    RuleSpec,
    SourceSpec,
    Strategy,
    VolumeLimits,
    WindowSpec,
)
from tasks.validation import problems
from tests.unit.shop_domain import shop_domain

Change = Callable[[DomainSpec], object]


@pytest.fixture
def shop(tmp_path: Path) -> DomainSpec:
    return shop_domain(tmp_path)


def test_a_consistent_domain_has_no_problem(shop: DomainSpec) -> None:
    assert problems(shop, layers=["bronze", "gold"], tables=["silver.sale", "gold.sales"]) == []


def _pushed(
    key: str,
    file: str,
    *,
    pattern: str = "sale*.*",
    format: FileFormat = FileFormat.jsonl,
    hidden: bool = False,
) -> Change:
    """The sale's source takes pushed records."""

    def change(domain: DomainSpec) -> None:
        push = PushSpec(key, file)
        domain.bronze["sale"] = replace(
            domain.bronze["sale"], push=push, pattern=pattern, format=format, hidden=hidden
        )

    return change


def _endpoint(name: str, endpoint: EndpointSpec) -> Change:
    return lambda domain: domain.endpoints.update({name: endpoint})


def _named_like(table: str, name: str) -> Change:
    """The change that adds a copy of a table under another name."""
    layer, _, copied = table.partition(".")

    def change(domain: DomainSpec) -> None:
        tables = getattr(domain, layer)
        tables[name] = tables[copied]

    return change


def _set(path: str, value: object) -> Change:
    """The change that sets `kind.table.attribute` or `kind.table.columns.column.attribute`."""
    *parents, last = path.split(".")

    def change(domain: DomainSpec) -> None:
        node: object = domain
        for name in parents:
            node = node[name] if isinstance(node, dict) else getattr(node, name)
        if isinstance(node, dict):
            node[last] = value
        else:
            setattr(node, last, value)

    return change


def _snapshots(*order: str) -> Change:
    def change(domain: DomainSpec) -> None:
        sale = domain.silver["sale"]
        sale.strategy, sale.sequence_by = Strategy.snapshot, list(order)
        sale.columns["paid"] = ColumnSpec("boolean", expr="price > 0")

    return change


def _partial_without_sequence(domain: DomainSpec) -> None:
    domain.silver["account"] = replace(
        domain.silver["account"],
        strategy=Strategy.upsert, track=[], sequence_by=[], ignore_null_updates=True,
    )  # fmt: skip


def _clustered_by_no_column(domain: DomainSpec) -> None:
    sale = domain.silver["sale"]
    domain.silver["sale"] = replace(sale, strategy=Strategy.append, cluster_by=["town"])


CASES: dict[str, tuple[Change, str]] = {
    "a domain of another folder": (_set("name", "../shop"),
        "domain.name: '../shop' is not made of letters, digits and _"),
    "a share in percent": (_set("silver.sale.quarantine.share", 5.0),
        "domain.silver.sale.quarantine.share: 5.0 is outside 0 to 1"),
    "a share that is not a number": (_set("silver.sale.quarantine.share", float("nan")),
        "domain.silver.sale.quarantine.share: nan is outside 0 to 1"),
    "a negative limit": (_set("silver.sale.quarantine.rows", -1),
        "domain.silver.sale.quarantine.rows: -1 is below 0"),
    "a column of the platform's own": (_set("bronze.other", SourceSpec("x", ["id", "_Sequence"])),
        "domain.bronze.other.columns: _Sequence is a column that the platform adds; give yours another "
        "name"),
    "a silver column of the platform's own": (_set("silver.sale.columns._batch_id", ColumnSpec(source="id")),
        "domain.silver.sale.columns: _batch_id is a column that the platform adds; give yours another "
        "name"),
    "score above 1": (_set("score_threshold", 80.0),
        "domain.score_threshold: 80.0 is outside 0 to 1"),
    "too few points for limits": (_set("anomalies", VolumeLimits(minimum=1)),
        "domain.anomalies.minimum: 1 is below 2, the least that limits need"),
    "less history than limits need": (_set("gold.sales.anomalies", VolumeLimits(history=5)),
        "domain.gold.sales.anomalies.history: 5 is below minimum (8)"),
    "source without columns": (_set("bronze.other", SourceSpec("x")),
        "domain.bronze.other.columns: no columns"),
    "source column twice": (_set("bronze.sale.columns", ["id", "shop", "amount", "id"]),
        "domain.bronze.sale.columns: id is named more than once"),
    "columns that Spark takes for one": (_set("bronze.other", SourceSpec("x", ["id", "\u00b5g", "\u03bcg"])),
        "domain.bronze.other.columns: \u00b5g and \u03bcg differ in case only; a table takes one of them"),
    "columns that differ in case only": (_set("bronze.other", SourceSpec("x", ["id", "name", "ID"])),
        "domain.bronze.other.columns: id and ID differ in case only; a table takes one of them"),
    "a header twice, but for blanks": (_set("bronze.sale.header", {"Shop ": "shop", " Shop": "id"}),
        "domain.bronze.sale.header: Shop is named more than once"),
    "header of an unknown column": (_set("bronze.sale.header", {"Shop name": "no"}),
        "domain.bronze.sale.header: no is not a column"),
    "delimiter of two characters": (_set("bronze.sale.delimiter", "||"),
        "domain.bronze.sale.delimiter: '||' is not one character"),
    "unknown encoding": (_set("bronze.sale.encoding", "utf-9"),
        "domain.bronze.sale.encoding: 'utf-9' is not an encoding of text that Python knows"),
    "encoding of bytes": (_set("bronze.sale.encoding", "base64"),
        "domain.bronze.sale.encoding: 'base64' is not an encoding of text that Python knows"),
    "file source without pattern": (_set("bronze.sale.pattern", ""),
        "domain.bronze.sale.pattern: no pattern of file names"),
    "pattern that begins at the root": (_set("bronze.sale.pattern", "/in/*.csv"),
        "domain.bronze.sale.pattern: /in/*.csv is not a name below the landing folder, such as sales/*.csv"),
    "pattern that leaves the landing folder": (_set("bronze.sale.pattern", "../*.csv"),
        "domain.bronze.sale.pattern: ../*.csv is not a name below the landing folder, such as sales/*.csv"),
    "pattern of names that are passed over": (_set("bronze.sale.pattern", "in/_sale*.csv"),
        "domain.bronze.sale.pattern: in/_sale*.csv means names that begin with . or _, which are passed "
        "over; set hidden: true"),
    "pattern that is not a glob": (_set("bronze.sale.pattern", "sale**.csv"),
        "domain.bronze.sale.pattern: sale**.csv: Invalid pattern: '**' can only be an entire path component"),
    "hidden files of a database": (_set("bronze.stock.hidden", True),
        "domain.bronze.stock.hidden: has no meaning for kind jdbc"),
    "envelope of CSV": (_set("bronze.sale.envelope", Envelope.debezium),
        "domain.bronze.sale.envelope: debezium is read from format jsonl, not csv"),
    "url of files": (_set("bronze.sale.url", "jdbc:x"),
        "domain.bronze.sale.url: has no meaning for kind files"),
    "pattern of a database": (_set("bronze.stock.pattern", "x*"),
        "domain.bronze.stock.pattern: has no meaning for kind jdbc"),
    "pushed to a CSV source": (_pushed("id", "sale_api", format=FileFormat.csv),
        "domain.bronze.sale.push: files of pushed records are JSON lines, not csv"),
    "pushed by no column": (_pushed("sale_id", "sale_api"),
        "domain.bronze.sale.push.key: sale_id is not a column"),
    "pushed to files that are not found": (_pushed("id", "api_sale"),
        "domain.bronze.sale.push.file: the pattern sale*.* does not match "
        "api_sale_20260301T100000000000.jsonl"),
    "pushed to files that are passed over": (_pushed("id", "_sale", pattern="*"),
        "domain.bronze.sale.push.file: files named _sale_20260301T100000000000.jsonl are passed over; "
        "begin it with a letter"),
    "pushed to files that are found too early": (_pushed("id", "sale_api", pattern="*", hidden=True),
        "domain.bronze.sale.pattern: * matches .sale_api_20260301T100000000000.jsonl.part, "
        "which the API is still writing"),
    "an endpoint without a table": (_endpoint("sales", EndpointSpec("gold.sale")),
        "domain.endpoints.sales.table: gold.sale is not a silver or gold table"),
    "an endpoint by no column": (_endpoint("sales", EndpointSpec("silver.sale", ["color"])),
        "domain.endpoints.sales: color is not a column of silver.sale"),
    "an endpoint in the place of another call": (_endpoint("runs", EndpointSpec("silver.sale")),
        "domain.endpoints.runs: the API has a call runs of its own"),
    "no JDBC address": (_set("bronze.stock.url", "postgresql://h/db"),
        "domain.bronze.stock.url: no JDBC address (jdbc:...)"),
    "table and query": (_set("bronze.stock.query", "select 1"),
        "domain.bronze.stock.table: name either a table or a query"),
    "neither table nor query": (_set("bronze.stock.table", None),
        "domain.bronze.stock.table: name either a table or a query"),
    "option that the platform sets": (_set("bronze.stock.options", {"dbTable": "t"}),
        "domain.bronze.stock.options.dbTable: is set by the platform; use the source's own keys"),
    "watermark is not a column": (_set("bronze.stock.watermark.column", "at"),
        "domain.bronze.stock.watermark.column: at is not a column"),
    "key of the watermark is not a column": (_set("bronze.stock.watermark.key", ["nr"]),
        "domain.bronze.stock.watermark.key: nr is not a column"),
    "overlap in words": (_set("bronze.stock.watermark.overlap", "a while"),
        "domain.bronze.stock.watermark.overlap: 'a while' is neither a number nor like '10 minutes'"),
    "unknown source": (_set("silver.sale.source", "bronze.sales"),
        "domain.silver.sale: unknown table bronze.sales"),
    "no source": (_set("silver.sale.source", None),
        "domain.silver.sale.source: a table of strategy upsert names its bronze table"),
    "source that is not a file": (_set("silver.sale.source", "silver.shop"),
        "domain.silver.sale.source: silver.shop is not a bronze table"),
    "unknown input": (_set("gold.sales.inputs", ["silver.sold"]),
        "domain.gold.sales: unknown table silver.sold"),
    "unknown lookup table": (_set("silver.sale.lookups.shops.table", "silver.shops"),
        "domain.silver.sale: unknown table silver.shops"),
    "the platform's own bronze table": (_named_like("bronze.sale", "batch_decisions"),
        "domain.bronze.batch_decisions: the platform has a table of this name; give yours another"),
    "a quarantine": (_named_like("silver.shop", "sale__quarantine"),
        "domain.silver.sale__quarantine: the platform has a table of this name"),
    "the events of a history": (_named_like("silver.shop", "price__events"),
        "domain.silver.price__events: the platform has a table of this name"),
    "capitals alone": (_named_like("gold.sales", "Sales"),
        "domain.gold.Sales: another table of the layer has this name but for capitals"),
    "silver without key": (_set("silver.sale.key", []), "domain.silver.sale.key: no key"),
    "silver key is not a column": (_set("silver.sale.key", ["nr"]),
        "domain.silver.sale.key: nr is not a column"),
    "gold without key": (_set("gold.sales.key", []), "domain.gold.sales.key: no key"),
    "gold key is not a column": (_set("gold.sales.key", ["nr"]),
        "domain.gold.sales.key: nr is not a column"),
    "unknown type": (_set("silver.sale.columns.id.type", "varchar"),
        "domain.silver.sale.columns.id.type: type 'varchar' is none of string, boolean, int,"),
    "type only one format has": (_set("silver.sale.columns.id.type", "smallint"),
        "domain.silver.sale.columns.id.type: type 'smallint' is none of"),
    "unknown gold type": (_set("gold.sales.columns.sum.type", "float8"),
        "domain.gold.sales.columns.sum.type: type 'float8' is none of"),
    "unknown sample type": (_set("silver.shop.samples.lat.type", "real"),
        "domain.silver.shop.samples.lat.type: type 'real' is none of"),
    "unknown type of a folded column": (_set("silver.shop.columns.n.type", "number"),
        "domain.silver.shop.columns.n.type: type 'number' is none of"),
    "column not in the source": (_set("silver.sale.columns.price.source", "amuont"),
        "domain.silver.sale.columns.price.source: amuont is not a column of bronze.sale"),
    "column of another name": (_set("silver.sale.columns.at", ColumnSpec()),
        "domain.silver.sale.columns.at.source: at is not a column of bronze.sale"),
    "sample not in the source": (_set("silver.shop.samples.lng", ColumnSpec("double")),
        "domain.silver.shop.samples.lng.source: lng is not a column of bronze.shop"),
    "unknown lookup": (_set("silver.sale.columns.lat.lookup", "shop.lat"),
        "domain.silver.sale.columns.lat.lookup: no lookup 'shop'"),
    "required lookup": (_set("silver.sale.columns.lat.required", True),
        "domain.silver.sale.columns.lat.required: what is looked up may come later; "
        "write a check of the gate instead"),
    "required column of a query": (_set("gold.sales.columns.sum.required", True),
        "domain.gold.sales.columns.sum.required: rows of a query are not judged one by one; "
        "write a check of the gate"),
    "rounded text": (_set("silver.sale.columns.shop.rounds", Rounding.half_up),
        "domain.silver.sale.columns.shop.rounds: only a decimal that is read or computed is rounded; "
        "leave it out"),
    "rounded expression that is not a decimal": (
        _set("gold.sales.columns.sum", ColumnSpec("bigint", expr="1", rounds=Rounding.half_up)),
        "domain.gold.sales.columns.sum.rounds: only a decimal is rounded; leave it out"),
    "rounded column of a query": (_set("gold.sales.columns.sum.rounds", Rounding.half_up),
        "domain.gold.sales.columns.sum.rounds: a query gives the value; round it there"),
    "lookup of no column": (_set("silver.sale.columns.lat.lookup", "shops.latitude"),
        "domain.silver.sale.columns.lat.lookup: silver.shop has no column 'latitude'"),
    "lookup without column": (_set("silver.sale.columns.lat.lookup", "shops"),
        "domain.silver.sale.columns.lat.lookup: silver.shop has no column ''"),
    "lookup by no column there": (_set("silver.sale.lookups.shops.by", {"shop": "nr"}),
        "domain.silver.sale.lookups.shops.by: nr is not a column of silver.shop"),
    "lookup by no column": (_set("silver.sale.lookups.shops.by", {"shop_id": "id"}),
        "domain.silver.sale.lookups.shops.by: shop_id is not a column"),
    "reference by no column": (_set("silver.sale.references.shops.by", {"shop_id": "id"}),
        "domain.silver.sale.references.shops.by: shop_id is not a column"),
    "rule on no column": (_set("silver.sale.rules.negative.column", "prize"),
        "domain.silver.sale.rules.negative.column: prize is not a column"),
    "no file for folding": (_set("silver.shop.reduce", "gone.sql"),
        "domain.silver.shop.reduce: no file {root}/gone.sql"),
    "no file for gold": (_set("gold.sales.sql", "gone.sql"),
        "domain.gold.sales.sql: no file {root}/gone.sql"),
    "no file for events": (_set("silver.price.events", "gone.sql"),
        "domain.silver.price.events: no file {root}/gone.sql"),
    "SCD2 without events": (_set("silver.price.events", None),
        "domain.silver.price.events: SCD2 needs either a source or the SQL file that gives its events"),
    "SCD2 without order": (_set("silver.price.sequence_by", []),
        "domain.silver.price.sequence_by: SCD2 needs the columns that order its events"),
    "SCD2 without track": (_set("silver.price.track", []),
        "domain.silver.price.track: SCD2 needs the columns whose change starts a span"),
    "SCD2 tracks no column": (_set("silver.price.track", ["cost"]),
        "domain.silver.price.track: cost is not a column"),
    "SCD2 that starts at no instant": (_set("silver.account.columns.at.type", "string"),
        "domain.silver.account.sequence_by: at is not a timestamp, so no span can start at it"),
    "ordered by no column": (_set("silver.account.sequence_by", ["at", "version"]),
        "domain.silver.account.sequence_by: version is not a column"),
    "partial updates without a sequence": (_partial_without_sequence,
        "domain.silver.account.sequence_by: without it the rows would depend on the order of arrival"),
    "partial updates of a history": (_set("silver.account.ignore_null_updates", True),
        "domain.silver.account.ignore_null_updates: is for upsert, not scd2"),
    "missing keys without snapshots": (_set("silver.sale.delete_missing", True),
        "domain.silver.sale.delete_missing: is for snapshot, not upsert"),
    "snapshots in the order of two columns": (_snapshots("price", "shop"),
        "domain.silver.sale.sequence_by: snapshots are ordered by one number, date, timestamp or text, "
        "or by delivery"),
    "snapshots in the order of a boolean": (_snapshots("paid"),
        "domain.silver.sale.sequence_by: snapshots are ordered by one number, date, timestamp or text, "
        "or by delivery"),
    "an order by what is looked up": (_set("silver.sale.sequence_by", ["lat"]),
        "domain.silver.sale.sequence_by: lat is looked up, and what is looked up may come later"),
    "window without append": (_set("silver.sale.window", WindowSpec("price")),
        "domain.silver.sale.window: is for append, not upsert"),
    "share above 1": (_set("silver.sale.missing_share", 20.0),
        "domain.silver.sale.missing_share: 20.0 is outside 0 to 1"),
    "partition by text": (_set("silver.account.partition", PartitionSpec("plan", "at")),
        "domain.silver.account.partition.column: plan is a string, not a date or timestamp"),
    "partition by an unknown column": (_set("silver.account.partition", PartitionSpec("no", "at")),
        "domain.silver.account.partition.column: no is not a column"),
    "partition of an unknown source": (_set("silver.account.partition", PartitionSpec("at", "no")),
        "domain.silver.account.partition.source: no is not a column of bronze.account"),
    "partition of a history of other tables": (
        _set("silver.price.partition", PartitionSpec("at", "at")),
        "domain.silver.price.partition: a history of other tables' events takes theirs"),
    "neither groups nor full": (_set("gold.sales.full", ""),
        "domain.gold.sales.groups: give either groups (which keys"),
    "groups and full": (_set("gold.plans.full", "because"),
        "domain.gold.plans.groups: give either groups (which keys"),
    "groups of no input": (_set("gold.plans.groups", {"silver.account": "plan", "silver.sale": "1"}),
        "domain.gold.plans.groups: silver.sale is not among the inputs"),
    "groups not of every input": (_set("gold.plans.inputs", ["silver.account", "silver.sale"]),
        "domain.gold.plans.groups: nothing said of silver.sale"),
    "SCD2 of an unknown type": (_set("silver.price.columns.price.type", "money"),
        "domain.silver.price.columns.price.type: type 'money' is none of"),
    "group by no column": (_set("gold.plans.group_by", ["town"]),
        "domain.gold.plans.group_by: town is not a column"),
    "folded column that is none": (_set("silver.totals.fold.most", Fold.max),
        "domain.silver.totals.fold: most is not a column"),
    "column without fold": (_set("silver.totals.fold", {"sales": Fold.sum}),
        "domain.silver.totals.columns.total: give its fold (sum, min or max), or an expr"),
    "fold of groups that are not keys": (_set("silver.totals.group_by", ["sales"]),
        "domain.silver.totals.fold: a row is folded by its key"),
    "query without groups": (_set("silver.totals.groups", {}),
        "domain.silver.totals.groups: give either groups"),
    "query with rules": (_set("silver.totals.rules", {"x": RuleSpec("true", "total", "is wrong")}),
        "domain.silver.totals.rules: a table with sql has none"),
    "query with a strategy": (_set("silver.totals.strategy", Strategy.append),
        "domain.silver.totals.strategy: a table with sql has none"),
    "query without file": (_set("silver.totals.sql", "gone.sql"),
        "domain.silver.totals.sql: no file {root}/gone.sql"),
    "first of an upsert": (_set("silver.sale.first_wins", True),
        "domain.silver.sale.first_wins: is for append, not upsert"),
    "sum of text": (_set("silver.totals.columns.total.type", "string"),
        "domain.silver.totals.fold.total: sums are kept of int, bigint and decimal columns, not of a string"),
    "sum of doubles": (_set("silver.totals.columns.total.type", "double"),
        "domain.silver.totals.fold.total: sums are kept of int, bigint and decimal columns, not of a double"),
    "fold of a key": (_set("silver.totals.fold.shop", Fold.min),
        "domain.silver.totals.fold.shop: is in the key, which is not folded"),
    "fold of a computed column": (_set("silver.totals.fold.mean", Fold.max),
        "domain.silver.totals.fold.mean: has an expr; give one of them"),
    "fold of a history": (_set("silver.price.fold", {"price": Fold.max}),
        "domain.silver.price.fold: only a table with sql has it"),
    "groups of a history that are not keys": (_set("silver.price.group_by", ["price"]),
        "domain.silver.price.group_by: only a table with sql has it"),
    "history that is computed whole": (_set("silver.price.full", "because"),
        "domain.silver.price.full: only a table with sql has it"),
    "inputs of rows": (_set("silver.sale.inputs", ["silver.shop"]),
        "domain.silver.sale.inputs: only a table with sql has it"),
    "groups of rows": (_set("silver.account.groups", {"bronze.account": "id"}),
        "domain.silver.account.groups: only a table with sql has it"),
    "sorted files of rows that change": (_set("silver.sale.cluster_by", ["shop"]),
        "domain.silver.sale.cluster_by: only rows that are added are sorted, so it is for append and events"),
    "cluster by no column": (_clustered_by_no_column,
        "domain.silver.sale.cluster_by: town is not a column"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_a_problem_is_named_with_its_key(shop: DomainSpec, change: Change, expected: str) -> None:
    change(shop)
    found = problems(shop)
    assert len(found) == 1, found
    assert found[0].startswith(expected.format(root=shop.roots.sql))
