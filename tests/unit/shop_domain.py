"""A domain that has every kind of table and no problem."""

from __future__ import annotations

from pathlib import Path

from tasks.domain.spec import (
    ColumnSpec,
    DomainSpec,
    Fold,
    GoldSpec,
    JoinSpec,
    Roots,
    RuleSpec,
    SilverSpec,
    SourceKind,
    SourceSpec,
    Strategy,
    WatermarkSpec,
)


def shop_domain(folder: Path) -> DomainSpec:
    """A consistent domain of every kind of table."""
    for name in ("events.sql", "fold.sql", "sales.sql"):
        (folder / name).write_text("select 1")
    columns = {"id": ColumnSpec(), "shop": ColumnSpec(), "price": ColumnSpec("decimal(18,2)")}
    return DomainSpec(
        name="shop",
        roots=Roots(str(folder), str(folder)),
        as_of="select max(id) from silver.sale",
        bronze={
            "sale": SourceSpec("sale*.csv", ["id", "shop", "amount"]),
            "shop": SourceSpec("shop*.csv", ["id", "lat"]),
            "account": SourceSpec("account*.csv", ["id", "at", "op", "plan"]),
            "stock": SourceSpec(
                columns=["id", "moved_at"],
                kind=SourceKind.jdbc,
                url="jdbc:postgresql://h/db",
                table="stock",
                watermark=WatermarkSpec("moved_at", "10 minutes", ["id"]),
            ),
        },
        silver={
            "sale": SilverSpec(
                source="bronze.sale",
                key=["id"],
                columns=columns
                | {
                    "price": ColumnSpec("decimal(18,2)", source="amount"),
                    "double": ColumnSpec("decimal(18,2)", expr="price * 2"),
                    "lat": ColumnSpec("double", lookup="shops.lat"),
                },
                rules={"negative": RuleSpec("price < 0", "price", "is negative")},
                references={"shops": JoinSpec("silver.shop", {"shop": "id"})},
                lookups={"shops": JoinSpec("silver.shop", {"shop": "id"})},
            ),
            "shop": SilverSpec(
                source="bronze.shop",
                key=["id"],
                reduce="fold.sql",
                samples={"id": ColumnSpec(), "lat": ColumnSpec("double")},
                columns={"id": ColumnSpec(), "lat": ColumnSpec("double"), "n": ColumnSpec("int")},
            ),
            "account": SilverSpec(
                strategy=Strategy.scd2,
                source="bronze.account",
                key=["id"],
                sequence_by=["at"],
                delete_when="op = 'd'",
                track=["plan"],
                columns={
                    "id": ColumnSpec(),
                    "at": ColumnSpec("timestamp"),
                    "op": ColumnSpec(),
                    "plan": ColumnSpec(),
                },
            ),
            "price": SilverSpec(
                strategy=Strategy.scd2,
                key=["id"],
                inputs=["silver.sale"],
                events="events.sql",
                sequence_by=["at"],
                track=["price"],
                columns={"id": ColumnSpec(), "price": ColumnSpec("decimal(18,2)")},
            ),
            "totals": SilverSpec(
                key=["shop"],
                inputs=["silver.sale"],
                sql="sales.sql",
                groups={"silver.sale": "shop"},
                fold={"sales": Fold.sum, "total": Fold.sum},
                columns={
                    "shop": ColumnSpec(),
                    "sales": ColumnSpec("bigint"),
                    "total": ColumnSpec("decimal(28,2)"),
                    "mean": ColumnSpec("double", expr="total / sales"),
                },
            ),
        },
        gold={
            "plans": GoldSpec(
                key=["plan"],
                inputs=["silver.account"],
                sql="sales.sql",
                columns={"plan": ColumnSpec()},
                groups={"silver.account": "plan"},
            ),
            "sales": GoldSpec(
                key=["shop"],
                inputs=["silver.sale", "silver.shop"],
                sql="sales.sql",
                columns={"shop": ColumnSpec(), "sum": ColumnSpec("double")},
                full="ranked over all shops",
            ),
        },
    )
