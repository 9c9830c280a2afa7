"""Generator of the finance domain: card transactions in CSV or Parquet files, with planted anomalies.

The same parameters give the same rows. Defects are planted on top of the data of the same seed, which they
leave as it is. Memory does not grow with the number of rows: a file is made and written at a time.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from tasks.generate.columns import IntArray
from tasks.generate.csv_writing import replacing
from tasks.generate.finance import people
from tasks.generate.finance.blocks import Block, day_weights, instants, make, table, with_anomalies
from tasks.generate.finance.defects import Defect, defective
from tasks.generate.finance.people import Accounts
from tasks.generate.generated import Generated, GeneratedFile
from tasks.generate.sampling import apportion

Form = Literal["csv", "parquet"]
TRUTH = "finance_truth.json"
ROWS_A_FILE = 500_000
MAX_SHARE = 0.2
_ROWS_AN_ACCOUNT, _ROWS_A_MERCHANT = 200, 2_000
_FEWEST_ACCOUNTS, _FEWEST_MERCHANTS = 20, 20
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_STREAMS = {"people": 0, "rows": 1, "anomalies": 2, "defects": 3}


def generate(
    to: Path,
    *,
    rows: int = 100_000,
    seed: int = 7,
    defects: float = 0.0,
    anomalies: float = 0.0005,
    form: Form = "csv",
    start: str = "2025-01-01",
    days: int = 365,
    accounts: int = 0,
) -> Generated:
    """Write files of transactions and the truth file into the folder `to`.

    Files are named after their first day and hold consecutive days, `ROWS_A_FILE` rows or a day at most.
    Files that an earlier call left there are removed, of either form.

    Args:
        to: Folder, made if it is missing.
        rows: Transactions, without the duplicates that `defects` adds.
        seed: Seed of every random choice, 0 or more; transactions of another seed have other ids, the
            accounts and merchants are the same for every seed.
        defects: Share of rows that break a row rule, and share that come a second time, 0 to 0.2.
        anomalies: Share of rows planted for each rule, 0 to 0.2.
        form: `csv` or `parquet`.
        start: First day, `YYYY-MM-DD`.
        days: Days that the transactions are spread over.
        accounts: Accounts; one for 200 rows where 0.

    Raises:
        ValueError: A parameter is outside its range.
    """
    parameters: dict[str, Any] = {
        "rows": rows, "seed": seed, "defects": defects, "anomalies": anomalies, "form": form,
        "start": start, "days": days, "accounts": accounts,
    }  # fmt: skip
    first_day = _checked(parameters)
    to.mkdir(parents=True, exist_ok=True)
    _remove_files_of_before(to)
    truth: dict[str, Any] = {
        "domain": "finance", "seed": seed, "parameters": parameters, "anomalies": [], "defects": [],
        "quarantine": {"transactions": []}, "rows": {},
    }  # fmt: skip
    drawn = np.random.default_rng([0, _STREAMS["people"]])
    holders = people.accounts(drawn, accounts or max(_FEWEST_ACCOUNTS, rows // _ROWS_AN_ACCOUNT))
    shops = people.merchants(drawn, max(_FEWEST_MERCHANTS, rows // _ROWS_A_MERCHANT))
    files = []
    for number, (day, second, first) in enumerate(_files(rows, seed, first_day, days)):
        rng = {
            name: np.random.default_rng([seed, stream, number]) for name, stream in _STREAMS.items()
        }
        block = make(rng["rows"], holders, shops, first=first, second=second)
        block = with_anomalies(rng["anomalies"], holders, block, anomalies)
        made = table(block, holders, shops, seed=seed)
        path = to / f"transactions_{day}.{form}"
        truth["anomalies"] += _planted(block, made, holders, path.name)
        made, wrong = defective(rng["defects"], made, block, defects, as_text=form == "csv")
        _note(truth, path.name, wrong, made.num_rows)
        files.append(GeneratedFile(path.name, made.num_rows, _write(path, made, form)))
    with replacing(to / TRUTH) as stream:
        json.dump(truth, stream, indent=1)
    return Generated(tuple(files), to / TRUTH)


def _remove_files_of_before(to: Path) -> None:
    (to / TRUTH).unlink(missing_ok=True)
    for form in get_args(Form):
        for old in to.glob(f"transactions_{_DAY}.{form}"):
            old.unlink()


def _checked(given: Mapping[str, Any]) -> int:
    """The first day since 1970-01-01, once every parameter is in its range."""
    for name, least in {"rows": 1, "seed": 0, "days": 1, "accounts": 0}.items():
        if given[name] < least:
            raise ValueError(f"{name}={given[name]} is below {least}")
    for name in ("defects", "anomalies"):
        if not 0 <= given[name] <= MAX_SHARE:
            raise ValueError(f"{name}={given[name]} is outside 0 to {MAX_SHARE}")
    if given["form"] not in get_args(Form):
        raise ValueError(f"form={given['form']} is none of {', '.join(get_args(Form))}")
    try:
        return (dt.date.fromisoformat(given["start"]) - dt.date(1970, 1, 1)).days
    except ValueError:
        raise ValueError(f"start={given['start']} is not a date; write YYYY-MM-DD") from None


def _files(
    rows: int, seed: int, first_day: int, days: int
) -> Iterator[tuple[dt.date, IntArray, int]]:
    """First day, instants, and number of the first row of each file."""
    counts = apportion(rows, day_weights(first_day, days))
    begin = done = number = 0
    while begin < days:
        end = begin + 1
        while end < days and counts[begin : end + 1].sum() <= ROWS_A_FILE:
            end += 1
        held = counts[begin:end]
        if held.sum():
            rng = np.random.default_rng([seed, len(_STREAMS), number])
            second = instants(rng, first_day + np.arange(begin, end), held)
            yield dt.date(1970, 1, 1) + dt.timedelta(days=first_day + begin), second, done
        begin, done, number = end, done + int(held.sum()), number + 1


def _planted(block: Block, made: pa.Table, holders: Accounts, file: str) -> list[dict[str, str]]:
    ids = made["transaction_id"]
    return [
        {
            "rule": found.rule,
            "transaction_id": ids[found.position].as_py(),
            "account_id": holders.ids[found.account].as_py(),
            "file": file,
        }
        for found in block.planted
    ]


def _note(truth: dict[str, Any], file: str, wrong: list[Defect], rows: int) -> None:
    truth["rows"][file] = rows
    truth["defects"] += [{"file": file, **defect._asdict()} for defect in wrong]
    truth["quarantine"]["transactions"] += [
        {"file": file, "record": defect.record, "rule": defect.rule}
        for defect in wrong
        if defect.rule
    ]


def _write(path: Path, made: pa.Table, form: Form) -> int:
    with replacing(path) as stream:
        binary = stream.buffer
        if form == "csv":
            pc_csv.write_csv(made, binary, pc_csv.WriteOptions(quoting_style="needed"))
        else:
            pq.write_table(made, binary)
    return path.stat().st_size
