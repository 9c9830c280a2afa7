"""Generator of the growth domain: six CSV files of a subscription product over two years.

The same parameters give the same bytes (with the pinned numpy, whose streams may change between
releases). Defects are planted on top of the data of the same seed, which they leave as it is. Files
tell the state at the end of the period: what happens later is not in them.

A rate is the share of each file's rows that a row rule breaks; duplicates and corrections come at the
same rate each. A silver table lets 5 % of a batch (or 20 rows) into quarantine before its gate blocks,
so a rate over about 0.05 blocks by design.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.generate.columns import Table
from tasks.generate.generated import Generated, require, write_tables
from tasks.generate.growth.billing import invoices, payers
from tasks.generate.growth.defects import recipes
from tasks.generate.growth.experiments import EXPERIMENTS, assignments
from tasks.generate.growth.support import tickets
from tasks.generate.growth.users import product_events, users
from tasks.generate.growth.visits import visits
from tasks.generate.planting import plant, untouched

MIN_ROWS = 100
TRUTH = "growth_truth.json"

_STREAMS = ("visits", "users", "experiments", "payers", "events", "billing", "support", "defects")


def generate(to: Path, *, rows: int = 200_000, seed: int = 7, defects: float = 0.0) -> Generated:
    """Write the six files and the truth file into the folder `to`.

    Files of these names are replaced, each whole or not at all; the truth file comes last and is
    absent while it does not describe the others. Its `parameters.uplift` has the true uplift of each
    variant. Memory grows with the rows, by about 350 bytes a visit.

    Args:
        to: Folder, made if it is missing.
        rows: Visits to generate; the other files grow with them.
        seed: Seed of every random choice, 0 or more.
        defects: Share of each file's rows that break a row rule, and share of rows for each
            other kind of defect; 0 to 0.5.

    Raises:
        ValueError: A parameter is out of its range.
    """
    require(rows, seed, defects, fewest=MIN_ROWS)
    rng, book = _stream(seed, "defects"), recipes()
    uplift = {experiment.name: experiment.uplift for experiment in EXPERIMENTS}
    parameters = {"rows": rows, "seed": seed, "defects": defects, "uplift": uplift}
    planted = (
        (table, plant(rng, table, book[table.name], defects) if defects else untouched(table))
        for table in _tables(rows, seed)
    )
    return write_tables(to, TRUTH, "growth", parameters, planted)


def _stream(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each part, so that one does not move the others."""
    return np.random.default_rng([seed, _STREAMS.index(name)])


def _tables(rows: int, seed: int) -> list[Table]:
    """Generate the tables without defects."""
    seen = visits(_stream(seed, "visits"), rows)
    people = users(_stream(seed, "users"), seen)
    assigned = assignments(_stream(seed, "experiments"), people)
    pays = payers(_stream(seed, "payers"), people, assigned.factor)
    return [
        seen.table,
        people.table,
        product_events(_stream(seed, "events"), people, pays),
        assigned.table,
        invoices(_stream(seed, "billing"), people, pays),
        tickets(_stream(seed, "support"), people),
    ]
