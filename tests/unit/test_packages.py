from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from flows.runtime import DISTRIBUTION

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "storage", "checks", "conf")
DISTRIBUTIONS = packages_distributions()
DOMAINS = sorted((ROOT / "conf" / "domain").glob("*.yaml"))
PLAIN_WORDS = {
    "accounts", "action", "active", "anomalies", "calendar", "date", "events", "id", "items", "month",
    "months", "name", "op", "orders", "page", "pipeline", "plan", "retained", "rule", "samples", "score",
    "stage", "state", "status", "week", "year", "z",
}  # fmt: skip
"""Names of a domain that are words of programs too: of dictionaries, of accounts of rows, of Prefect."""
OWN_COLUMNS = {"event_id", "is_current", "started_at", "valid_from", "valid_to"}
"""Names of a domain that are columns of the platform too: of histories, of event logs, of `ops`."""
PERSONAL = {"city", "firstname", "lastname", "latitude", "longitude"}
"""Names of a domain that `lakehouse init` takes for personal data in anyone's file."""


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_name_belongs_to_this_distribution_alone(name: str) -> None:
    assert DISTRIBUTIONS.get(name, [DISTRIBUTION]) == [DISTRIBUTION]
    own = PathFinder.find_spec(name, [str(ROOT)])
    found = PathFinder.find_spec(name)
    assert own is not None
    assert found is not None
    assert found.origin == own.origin == str(ROOT / name / "__init__.py")
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    others = [PathFinder.find_spec(name, [entry]) for entry in elsewhere]
    assert [other.origin for other in others if other and other.origin] == []
    assert name not in sys.stdlib_module_names


def test_no_flow_file_is_named_like_a_package_that_it_would_hide() -> None:
    taken = set(DISTRIBUTIONS) - set(PACKAGES)
    assert {"delta", "prefect", "pyspark", "click"} <= taken
    assert not [file for file in (ROOT / "flows").rglob("*.py") if file.stem in taken]
    beside = (ROOT / "flows").glob("*.py")
    assert not [file for file in beside if file.stem in sys.stdlib_module_names]


def _names_of(domain: Path) -> set[str]:
    """Every table and column that a domain declares."""
    declared = yaml.safe_load(domain.read_text("utf-8"))
    names: set[str] = set()
    for layer in ("bronze", "silver", "gold"):
        for table, spec in declared[layer].items():
            names |= {table, *spec.get("columns", ()), *spec.get("samples", ())}
    return names


def _words(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The words of identifiers and of string literals, docstrings left out, with their lines."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text: object = ""
        match node:
            case ast.Constant(value=str()) if id(node) not in prose:
                text = node.value
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                text = name
            case ast.keyword(arg=str() as name):
                text = name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                text = name
        for word in re.findall(r"\w+", str(text)):
            yield word, getattr(node, "lineno", 0)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda file: file.stem)
def test_no_python_names_a_table_or_column_of_a_domain(domain: Path) -> None:
    names = _names_of(domain) - PLAIN_WORDS - OWN_COLUMNS - PERSONAL
    generators = ROOT / "tasks" / "generate"
    files = [f for package in PACKAGES for f in (ROOT / package).rglob("*.py")]
    named = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in files
        if not file.is_relative_to(generators)
        for word, line in _words(ast.parse(file.read_text("utf-8")))
        if word in names
    ]
    assert named == []


def test_the_words_of_a_program_are_found_where_they_are_meant() -> None:
    program = '"""About order_id."""\nx = f"select {a.b_c} from silver.my_table"\nf(key_word=1)\n'
    words = {word for word, _ in _words(ast.parse(program))}
    assert {"my_table", "b_c", "key_word", "select", "silver", "x"} <= words
    assert "order_id" not in words


def test_a_run_with_nothing_new_needs_neither_prefect_nor_soda() -> None:
    """Their import takes longer than the run."""
    program = "import sys, flows.execution; print(sorted({'prefect', 'soda'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
