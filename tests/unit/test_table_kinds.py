"""What a table is, is decided by its declaration and in `tasks/run_table.py`; nothing else asks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECIDE = (ROOT / "tasks" / "domain", ROOT / "tasks" / "generate", ROOT / "tasks" / "run_table.py")
EQUAL = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)


def _asks(program: ast.AST) -> Iterator[str]:
    """Each comparison of a table's layer or strategy, and each use of `is_derived`."""
    for node in ast.walk(program):
        if isinstance(node, ast.Compare) and any(isinstance(op, EQUAL) for op in node.ops):
            compared = (node.left, *node.comparators)
            if any(
                isinstance(e, ast.Attribute) and e.attr in ("layer", "strategy") for e in compared
            ):
                yield ast.unparse(node)
        if isinstance(node, ast.Attribute) and node.attr == "is_derived":
            yield ast.unparse(node)


def test_no_module_but_the_declaration_asks_what_a_table_is() -> None:
    files = [f for package in ("flows", "conf", "tasks") for f in (ROOT / package).rglob("*.py")]
    asked = {
        str(file.relative_to(ROOT)): found
        for file in files
        if not any(file.is_relative_to(place) for place in DECIDE)
        if (found := list(_asks(ast.parse(file.read_text("utf-8")))))
    }
    assert len(files) > 200
    assert asked == {}


def test_a_question_is_found() -> None:
    program = "if ref.layer == 'gold' or spec.strategy is Strategy.scd2 or spec.is_derived: pass"
    assert len(list(_asks(ast.parse(program)))) == 3
    assert list(_asks(ast.parse("[r for r in tables if r.layer in layers]"))) == []
