"""The generator of card transactions: the same rows for a seed, and a truth file that is true."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.generate.finance import generator as finance
from tasks.generate.finance.generator import generate
from tests.oracle.compare import assert_equal
from tests.oracle.finance import KEYS, Oracle, compute


def made(folder: Path, **given: Any) -> tuple[Oracle, dict[str, Any]]:
    generated = generate(folder, **{"rows": 6_000, "seed": 3, "days": 30, "accounts": 40} | given)
    files = [folder / file.name for file in generated.files]
    return compute([files]), json.loads(generated.truth.read_text())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_truth_file_is_true(tmp_path: Path, form: str) -> None:
    oracle, truth = made(tmp_path, form=form, defects=0.03, anomalies=0.004)
    held = [
        (row["file"], row["record"], row["rule"]) for row in truth["quarantine"]["transactions"]
    ]
    assert oracle.quarantine == sorted(held)
    assert len(held) > 100
    transactions = oracle.silver["transactions"]
    wrong = Counter(row["kind"].startswith("duplicate") for row in truth["defects"])
    assert transactions.num_rows == 6_000 - wrong[False]
    assert 77.77 not in transactions["amount"].to_pylist(), "the first delivery counts"
    found = {(row["transaction_id"], row["rule"]) for row in oracle.gold["anomalies"].to_pylist()}
    planted = [(row["transaction_id"], row["rule"]) for row in truth["anomalies"]]
    missed = Counter(rule for id_, rule in planted if (id_, rule) not in found)
    assert missed["velocity"] == missed["very_high"] == 0
    assert missed["high_amount"] < sum(rule == "high_amount" for _, rule in planted) / 2
    assert {rule for _, rule in planted} == {"high_amount", "velocity", "very_high"}


def test_both_forms_hold_the_same_transactions(tmp_path: Path) -> None:
    one, _ = made(tmp_path / "1")
    other, _ = made(tmp_path / "2", form="parquet")
    for name, table in one.gold.items():
        assert_equal(other.gold[name], table, KEYS[name], name=name)


def test_a_seed_gives_the_same_bytes_and_another_seed_other_transactions(tmp_path: Path) -> None:
    for name, seed in (("1", 3), ("2", 3), ("3", 4)):
        generate(tmp_path / name, rows=500, seed=seed, defects=0.02, form="parquet", days=5)
    files = [sorted(p.name for p in (tmp_path / n).iterdir()) for n in ("1", "2", "3")]
    assert files[0] == files[1]
    for name in files[0]:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    ids = [
        set(pq.read_table(next((tmp_path / n).glob("*.parquet")))["transaction_id"].to_pylist())
        for n in ("1", "3")
    ]
    assert not (ids[0] & ids[1]) - {""}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_generating_again_leaves_no_file_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    given: dict[str, Any] = {"seed": 3, "days": 20, "form": form}
    with monkeypatch.context() as patched:
        patched.setattr(finance, "ROWS_A_FILE", 100)
        assert len(generate(tmp_path / "out", rows=600, days=20).files) > 2
    own = tmp_path / "out" / "transactions_mine.csv"
    own.write_text("kept")
    generate(tmp_path / "out", rows=50, **given)
    generate(tmp_path / "fresh", rows=50, **given)
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found.pop(own.name) == b"kept"
    assert found == {path.name: path.read_bytes() for path in (tmp_path / "fresh").iterdir()}


def test_files_are_of_bounded_size_and_hold_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finance, "ROWS_A_FILE", 400)
    generated = generate(tmp_path, rows=2_000, days=60)
    assert len(generated.files) > 4
    assert max(file.rows for file in generated.files) <= 400
    assert sum(file.rows for file in generated.files) == 2_000
    ids = {i for f in generated.files for i in (tmp_path / f.name).read_text().splitlines()[1:]}
    assert len(ids) == 2_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rows": 0}, "rows=0 is below 1"),
        ({"seed": -1}, "seed=-1 is below 0"),
        ({"defects": 0.5}, "defects=0.5 is outside 0 to 0.2"),
        ({"anomalies": float("nan")}, "anomalies=nan is outside"),
        ({"form": "xml"}, "form=xml is none of csv, parquet"),
        ({"start": "July"}, "start=July is not a date"),
    ],
)
def test_a_parameter_out_of_range_is_named(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        generate(tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
