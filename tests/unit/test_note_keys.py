"""Only one module of tasks, and one of storage, know the keys of facts in commit records."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tasks.notes import Notes

ROOT = Path(__file__).parents[2]
KNOWN = (ROOT / "tasks" / "notes.py", ROOT / "storage" / "types.py")
NAMES = {fact.name for fact in fields(Notes)} | {"stored"}


@pytest.mark.parametrize("package", ["storage", "checks", "tasks", "conf", "flows"])
def test_no_other_module_knows_a_key(package: str) -> None:
    files = [path for path in sorted((ROOT / package).rglob("*.py")) if path not in KNOWN]
    found = [f"{path}:{line}" for path in files for line in _keys(path.read_text("utf-8"))]
    assert files
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "record.notes['mark']",
        "record.notes.get(KEY)",
        "'evolved' in entry.record.notes",
        "{**record.notes, 'mark': True}",
        "[key for key in record.notes]",
        "dict(record.notes)",
        "found = record.notes",
        "attempt.notes.others['watermark']",
        "attempt.notes.others.get('watermark')",
        "CommitRecord('run', 't', notes={'mark': True})",
        "CommitRecord('run', 't', notes=dict(mark=True))",
        "CommitRecord('run', 't', notes=facts)",
        "Notes(others={'watermark': 3})",
    ],
)
def test_a_key_outside_is_found(code: str) -> None:
    assert list(_keys(code)) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "attempt.notes.releases",
        "attempt.notes.itself.batch_id",
        "replace(attempt.notes, releases=3).stored()",
        "Notes.of(record).others.get(reader.note)",
        "CommitRecord('run', 't', notes=Notes(releases=3).stored())",
        "replace(record, notes={})",
        "Notes(others={reader.note: 3})",
    ],
)
def test_a_fact_by_its_name_is_no_key(code: str) -> None:
    assert list(_keys(code)) == []


def _keys(source: str) -> Iterator[int]:
    """Lines where notes are taken or made by key."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "notes":
            by_key = not _by_name(parents[node])
        elif isinstance(node, ast.Attribute) and node.attr == "others":
            by_key = any(isinstance(part, ast.Constant) for part in _taken(node, parents))
        elif isinstance(node, ast.keyword):
            by_key = not _without_keys(node)
        else:
            continue
        if by_key:
            yield node.lineno


def _by_name(user: ast.AST) -> bool:
    """Whether what stands around notes takes a fact of them, or changes one."""
    if isinstance(user, ast.Attribute):
        return user.attr in NAMES
    return isinstance(user, ast.Call) and ast.unparse(user.func) == "replace"


def _taken(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> list[ast.expr]:
    """What is asked for of a mapping."""
    parent = parents[node]
    if isinstance(parent, ast.Subscript):
        return [parent.slice]
    call = parents.get(parent)
    return call.args if isinstance(call, ast.Call) and call.func is parent else []


def _without_keys(made: ast.keyword) -> bool:
    if made.arg not in ("notes", "others"):
        return True
    if isinstance(made.value, ast.Dict):
        return not any(isinstance(key, ast.Constant) for key in made.value.keys)
    of_facts = isinstance(made.value, ast.Call) and ast.unparse(made.value.func) != "dict"
    return of_facts or made.arg == "others"
