"""The files of a first domain: YAML, checks, an example query, commented for a first reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.authoring.starter.example import example
from tasks.authoring.starter.guesses import Typed, is_identifying
from tasks.authoring.starter.plan import Gold, Plan
from tasks.authoring.starter.text import quoted, said, scalar, sql
from tasks.landing.names import is_hidden


def files(plan: Plan) -> dict[str, str]:
    """The text of each file: `domain`, `sql/...` and `checks/...`."""
    gold = plan.gold
    return {
        "domain": _domain(plan, gold),
        f"sql/gold/{gold.name}.sql": _query(gold),
        f"sql/tests/gold/{gold.name}.yml": example(plan),
        f"checks/bronze/{plan.table}.yml": _bronze_checks(plan),
        f"checks/silver/{plan.table}.yml": _silver_checks(plan),
        f"checks/gold/{gold.name}.yml": _gold_checks(gold),
    }


def _domain(plan: Plan, gold: Gold) -> str:
    file = plan.guess.profile.path.name
    columns = "\n".join(_column(c, plan.guess.key) for c in plan.guess.columns)
    return f"""\
# The domain {plan.name}, begun from {said(file)}. What was guessed is said; change what is wrong.
# Every key: docs/reference/domain.md. A table that has rows already follows a change by: lakehouse upgrade
name: {scalar(plan.name)}
description: {scalar(f"Begun from {file}")}
# owner: the team that answers for the tables
roots: # folders of the queries and of the checks; relative ones count from this file
  sql: {plan.roots[0]}
  checks: {plan.roots[1]}
# The newest business date: freshness is measured against it, never against the clock.
as_of: {_as_of(plan)}

# Bronze keeps every column of the file as text, as it came.
bronze:
  {scalar(plan.table)}:
    pattern: {scalar(plan.pattern)} # names of the files in the landing folder that feed this table
{_hidden(plan)}{_source(plan)}

# Silver is typed and merged by its key: when a key comes again, the later delivery counts.
# A row with a value that does not parse goes to quarantine, with its reason.
silver:
  {scalar(plan.table)}:
    description: {scalar(f"One row of {file}")}
    source: bronze.{plan.table}
{_key(plan)}
    columns:
{columns}
{_rules(plan)}

# Gold: each table is the result of one query. Its columns are declared, with their meaning.
gold:
  {scalar(gold.name)}:
    description: {scalar(f"Rows of {plan.table} of each {gold.grain}")} # an example; make it yours
    key: [{scalar(gold.key)}] # the grain: one row each
    inputs: [silver.{plan.table}]
    sql: gold/{gold.name}.sql
{_groups(plan, gold)}
    columns:
      {scalar(gold.key)}: {{type: {gold.key_type}, doc: {quoted(_key_doc(gold))}}}
      {scalar(gold.count)}: {{type: bigint, doc: "Rows of silver.{plan.table}."}}
{_total(gold)}    volume: # every row of the input has to arrive
      input: {scalar(f"select count(*) from silver.{plan.table} {gold.filter}".rstrip())}
      output: coalesce(sum({sql(gold.count)}), 0)
"""


def _as_of(plan: Plan) -> str:
    time = plan.guess.time
    if time:
        return f"select max({sql(time.name)}) from silver.{plan.table}"
    return f"select max(_ingestion_date) from bronze.{plan.table} # no date in the file: the newest delivery"


def _hidden(plan: Plan) -> str:
    if not is_hidden(plan.guess.profile.path.name):
        return ""
    return "    hidden: true # else names that begin with . or _ are passed over\n"


def _source(plan: Plan) -> str:
    profile = plan.guess.profile
    names = [column.name for column in profile.columns]
    lines = [f"    columns: [{', '.join(map(scalar, names))}]"]
    renamed = {c.header: c.name for c in profile.columns if c.header != c.name}
    if renamed:
        lines.append("    header: # names in the file that cannot be names of table columns")
        lines += [f"      {quoted(h)}: {scalar(n)}" for h, n in renamed.items()]
    if profile.delimiter != ",":
        lines.append(f"    delimiter: {quoted(profile.delimiter)}")
    if profile.encoding.lower() not in ("utf-8", "utf8"):
        lines.append(f"    encoding: {scalar(profile.encoding)}")
    tagged = [c for c in plan.guess.columns if c.personal]
    if tagged:
        lines.append("    personal: # guessed from the names alone; see that none is missing")
        lines += [f"      {scalar(c.name)}: [{c.personal}]" for c in tagged]
    return "\n".join(lines)


def _key(plan: Plan) -> str:
    key, profile = plan.guess.key, plan.guess.profile
    said = (
        f"{profile.repeated:,} of {profile.rows:,} records repeat a key: of those the last counts"
        if profile.repeated
        else f"no two of the {profile.rows:,} records have the same; is that by chance?"
    )
    return f"    key: [{', '.join(map(scalar, key))}] # {said}"


def _column(typed: Typed, key: Sequence[str]) -> str:
    parts = [] if typed.type == "string" else [f"type: {_type(typed.type)}"]
    parts += [f"personal: [{typed.personal}]"] if typed.personal else []
    note = f" # {typed.note}" if typed.note else ""
    note = note or (" # the key" if typed.name in key else "")
    return f"      {scalar(typed.name)}: {{{', '.join(parts)}}}{note}"


def _type(kind: str) -> str:
    return f'"{kind}"' if "(" in kind else kind


def _rules(plan: Plan) -> str:
    numbers = [c for c in plan.guess.columns if c.is_number and not c.column.negative]
    numbers = [c for c in numbers if c.name not in plan.guess.key]
    name = numbers[0].name if numbers else plan.guess.columns[0].name
    when = f"{sql(name)} < 0" if numbers else f"length({sql(name)}) > 100"
    says = "is negative" if numbers else "is too long"
    return f"""\
    # Rows for which a rule holds go to quarantine. Uncomment the lines below to use this one:
    # rules:
    #   bad_{name}: {{when: {quoted(when)}, column: {scalar(name)}, says: {says}}}"""


def _groups(plan: Plan, gold: Gold) -> str:
    if not (gold.time or gold.group):
        return "    full: it has one row, which counts all rows"
    return f"""\
    groups: # which rows of this table a changed row of the input touches: only those are computed
      silver.{plan.table}: {scalar(gold.key_sql)}"""


def _key_doc(gold: Gold) -> str:
    if gold.time:
        return f"First day of the month of {gold.time.name}; rows without it are left out."
    if gold.group:
        return f"{gold.group.name} of the rows; rows without it are left out."
    return "The text all."


def _total(gold: Gold) -> str:
    if gold.measure is None:
        return ""
    doc = f"Sum of {gold.measure.name}; null if no row has one."
    return f"      {scalar(gold.total)}: {{type: {_type(gold.total_type)}, doc: {quoted(doc)}}}\n"


def _query(gold: Gold) -> str:
    measure = gold.measure
    total = (
        f",\n    cast(sum({sql(measure.name)}) as {gold.total_type}) as {sql(gold.total)}"
        if measure
        else ""
    )
    end = f"{gold.filter}\ngroup by 1" if gold.filter else "having count(*) > 0"
    return f"""\
-- One row a {gold.grain}. Spark SQL; tables are named layer.table.
select
    {gold.key_sql} as {sql(gold.key)},
    count(*) as {sql(gold.count)}{total}
from silver.{gold.source}
{end}
"""


def _bronze_checks(plan: Plan) -> str:
    return f"""\
# Checks in SodaCL. A table is published only if none of them fails.
# staged: the records that are about to be added to bronze.{plan.table}.
checks for staged:
  - row_count > 0:
      name: the delivery has records
  - row_count = ${{expected_rows}}:
      name: files are complete
      attributes: {{severity: high}}
"""


def _silver_checks(plan: Plan) -> str:
    key = plan.guess.key
    missing = "\n".join(_given(name) for name in key)
    known = "\n".join(_known(c) for c in _listed(plan.guess.columns, key))
    staged_checks = f"""\
# staged: the rows that change the table.
checks for staged:
{known}
""" if known else ""  # fmt: skip
    return f"""\
{staged_checks}# result: silver.{plan.table} as it will be.
checks for result:
{missing}
  - duplicate_count({", ".join(key)}) = 0:
      name: {" and ".join(key)} {"is" if len(key) == 1 else "are"} unique
      attributes: {{severity: high}}
"""


def _gold_checks(gold: Gold) -> str:
    return f"""\
# result: gold.{gold.name} as it will be.
checks for result:
{_given(gold.key)}
  - duplicate_count({gold.key}) = 0:
      name: {gold.key} is unique
      attributes: {{severity: high}}
  - failed rows:
      name: every row counts something
      fail condition: {scalar(f"{sql(gold.count)} < 1")}
"""


def _given(name: str) -> str:
    return f"""\
  - missing_count({name}) = 0:
      name: {name} is given
      attributes: {{severity: high}}"""


def _listed(columns: Iterable[Typed], key: Sequence[str]) -> list[Typed]:
    """Columns of text with few values, none of them personal, that a check can write."""
    return [
        c
        for c in columns
        if c.type == "string" and c.name not in key and not (c.personal or is_identifying(c.name))
        and 1 < len(c.column.values) <= c.column.filled / 2
        and not any("${" in value for value in c.column.values)
    ]  # fmt: skip


def _known(typed: Typed) -> str:
    values = ", ".join(quoted(value) for value in typed.column.values)
    return f"""\
  - invalid_count({typed.name}):
      name: {typed.name} is one of those seen first
      valid values: [{values}]
      warn: when > 0 # `fail: when > 0` would block the delivery"""
