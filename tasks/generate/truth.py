"""The truth file: what was planted where, and what must be in quarantine because of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TextIO

from tasks.generate.columns import Table
from tasks.generate.planting import Planted, Quarantined


class Truth:
    """Writes the truth file a table at a time, so that only the quarantine stays in memory.

    One JSON object: `domain`, `seed`, `parameters`, `defects` (a list in file order, one entry a
    line), `quarantine` (by silver table, the records held back after one delivery), and `rows`
    (records by file).
    """

    def __init__(self, stream: TextIO, domain: str, parameters: Mapping[str, object]) -> None:
        self._stream = stream
        self._quarantine: dict[str, list[Quarantined]] = {}
        self._rows: dict[str, int] = {}
        self._separator = "\n"
        head = {"domain": domain, "seed": parameters["seed"], "parameters": dict(parameters)}
        stream.write(json.dumps(head)[:-1] + ',\n"defects": [')

    def add(self, table: Table, planted: Planted) -> None:
        """Write the table's defects."""
        for defect in planted.defects:
            entry = {"file": table.file, "table": table.name, **defect._asdict()}
            self._stream.write(self._separator + json.dumps(entry, ensure_ascii=False))
            self._separator = ",\n"
        self._quarantine[table.name] = planted.quarantine
        self._rows[table.file] = len(planted.layout.rows)

    def finish(self) -> None:
        """Write the quarantine and the counts, which end the object."""
        self._stream.write('\n],\n"quarantine": {')
        for turn, (name, records) in enumerate(self._quarantine.items()):
            lines = ",\n".join(json.dumps(record._asdict()) for record in records)
            self._stream.write(f'{"," if turn else ""}\n"{name}": [\n{lines}\n]')
        self._stream.write(f'\n}},\n"rows": {json.dumps(self._rows)}\n}}\n')
