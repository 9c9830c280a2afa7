"""Writes what the reference takes from the code: commands, configuration keys, keys of a domain.

A page is text by hand with generated parts between `<!-- generated: NAME -->` and `<!-- end -->`.
`python docs/generate.py` writes them again; `tests/unit/test_docs.py` fails where a page is behind.
"""  # noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import click

from conf.load import load_config
from conf.overrides import ALLOWED_IN_PARAMETERS
from conf.schema import (
    Api,
    Catalog,
    Config,
    Environment,
    Export,
    Locking,
    Paths,
    Retry,
    TableFormat,
)
from flows.cli import cli
from storage.spark.session import SparkSettings
from storage.types import LAYERS, TableRef
from tasks.domain.spec import (
    MUST_GIVE,
    AuthSpec,
    ColumnSpec,
    DestinationSpec,
    DomainSpec,
    EndpointSpec,
    GoldSpec,
    JoinSpec,
    KafkaSpec,
    KeySnapshotSpec,
    PageSpec,
    PartitionSpec,
    PartitionsSpec,
    PushSpec,
    QuarantineLimit,
    RestSpec,
    Roots,
    RuleSpec,
    SilverSpec,
    SourceSpec,
    Strategy,
    VolumeLimits,
    VolumeSpec,
    WatermarkSpec,
    WindowSpec,
    dependencies,
)

DOCS = Path(__file__).parent
CONF = DOCS.parent / "conf"
GROUPS = ("env", "catalog", "spark")
SECTIONS: Mapping[str, type] = {
    "": Config,
    "paths": Paths,
    "env": Environment,
    "format": TableFormat,
    "catalog": Catalog,
    "spark": SparkSettings,
    "export": Export,
    "api": Api,
    "locking": Locking,
    "retry": Retry,
}
DOMAIN_PARTS = (
    DomainSpec, Roots, EndpointSpec, SourceSpec, WatermarkSpec, PartitionsSpec, KeySnapshotSpec,
    PushSpec, KafkaSpec,
    RestSpec, PageSpec, AuthSpec, SilverSpec, ColumnSpec, RuleSpec,
    JoinSpec, WindowSpec, PartitionSpec, QuarantineLimit, GoldSpec, VolumeSpec, VolumeLimits,
    DestinationSpec,
)  # fmt: skip
_PART = re.compile(r"<!-- generated: ([\w.-]+) -->\n.*?<!-- end -->", re.DOTALL)


def commands() -> str:
    """The help of every command, as the terminal shows it."""
    parts = []
    for path, command, context in _walk(cli, click.Context(cli, **_context("lakehouse"))):
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts)


def configuration() -> str:
    """Every key of the configuration but the domain's, a table a section."""
    parts = []
    for section, kind in SECTIONS.items():
        title = f"`{section}`" if section else "Top level"
        parts.append(f"### {title}\n\n{_sentence(kind)}\n\n{_table(kind, section)}")
    return "\n\n".join(parts)


def choices() -> str:
    """The files of the groups, word for word."""
    parts = []
    for group in GROUPS:
        for file in sorted((CONF / group).glob("*.yaml")):
            text = file.read_text("utf-8").strip()
            parts.append(f"### `{group}={file.stem}`\n\n```yaml\n{text}\n```")
    text = (CONF / "table_properties.yaml").read_text("utf-8").strip()
    parts.append(f"### `format.properties`, whatever is chosen\n\n```yaml\n{text}\n```")
    return "\n\n".join(parts)


def parameters() -> str:
    """The keys that a deployment's parameter `overrides` may set."""
    return "\n".join(f"- `{key}`" for key in ALLOWED_IN_PARAMETERS)


def domain_part(kind: type) -> Callable[[], str]:
    """The table of one dataclass of a domain."""
    return lambda: f"{_sentence(kind)}\n\n{_table(kind, '')}"


GENERATORS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "configuration": configuration,
    "choices": choices,
    "parameters": parameters,
    **{kind.__name__: domain_part(kind) for kind in DOMAIN_PARTS},
}


def domain_pages() -> dict[Path, str]:
    """The page of each domain of the clone, made from its YAML file alone."""
    names = sorted(file.stem for file in (CONF / "domain").glob("*.yaml"))
    return {DOCS / "reference" / "domains" / f"{name}.md": _domain_page(name) for name in names}


def _domain_page(name: str) -> str:
    domain = load_config([f"domain={name}", "paths.lake=lake", "paths.landing=landing"]).domain
    file = f"conf/domain/{name}.yaml"
    tables = [domain.ref(f"{layer}.{t}") for layer in LAYERS[::-1] for t in getattr(domain, layer)]
    summary = [
        (_link(ref.label), _grain(domain, ref), _first(_spec(domain, ref))) for ref in tables
    ]
    parts = [
        f"# Domain {name}",
        f"{_cell(domain.description)}" + (f"; owner: {domain.owner}" if domain.owner else ""),
        f"Written by `python docs/generate.py` from [`{file}`](../../../{file}); change it there.",
        "## Tables",
        _rows(("table", "a row, by", "what it is"), summary),
        *(_table_section(domain, ref) for ref in tables),
    ]
    return "\n\n".join(parts) + "\n"


def _table_section(domain: DomainSpec, ref: TableRef) -> str:
    spec = _spec(domain, ref)
    parts = [f"## {ref.label}", _cell(spec.description)]
    if isinstance(spec, SourceSpec):
        origin = f"Files `{spec.pattern}`." if spec.pattern else "A table or query of a database."
        rows = [(f"`{c}`", ", ".join(spec.personal.get(c, []))) for c in spec.columns]
        return "\n\n".join([*parts, origin, _rows(("column", "personal data"), rows)])
    facts = [f"**Grain**: {_grain(domain, ref)}."]
    reads = dependencies(domain)[ref.label]
    facts += [f"**Made from**: {', '.join(map(_link, reads))}."] if reads else []
    if isinstance(spec, GoldSpec):
        file = Path(domain.roots.sql, spec.sql).relative_to(CONF.parent)
        facts.append(f"**Query**: [`{file.name}`](../../../{file}).")
        if spec.full:
            facts.append(f"**Computed whole**, because {_cell(spec.full)}.")
    rows = [
        (f"`{name}`", f"`{c.type}`", _formula(c), ", ".join(c.personal), _cell(c.doc))
        for name, c in spec.columns.items()
    ]
    parts += [" ".join(facts), _rows(("column", "type", "from", "personal data", "meaning"), rows)]
    rules = spec.rules if isinstance(spec, SilverSpec) else {}
    if rules:
        said = [
            (f"`{n}`", f"`{_cell(r.when)}`", f"{r.column} {_cell(r.says)}")
            for n, r in rules.items()
        ]
        parts += ["Rows are kept out when:", _rows(("rule", "condition", "which means"), said)]
    return "\n\n".join(part for part in parts if part)


def _formula(column: ColumnSpec) -> str:
    """What gives a column where it is not simply the one of its name."""
    if column.expr:
        return f"`{_cell(column.expr)}`"
    if column.lookup:
        return f"`{column.lookup}`" + (
            f", else `{_cell(column.default)}`" if column.default else ""
        )
    return f"`{column.source}`" if column.source else ""


def _grain(domain: DomainSpec, ref: TableRef) -> str:
    spec = _spec(domain, ref)
    if isinstance(spec, SourceSpec):
        return "delivered record"
    history = isinstance(spec, SilverSpec) and spec.strategy is Strategy.scd2
    key = [*spec.key, "valid_from"] if history else spec.key
    return ", ".join(f"`{name}`" for name in key)


def _spec(domain: DomainSpec, ref: TableRef) -> SourceSpec | SilverSpec | GoldSpec:
    spec: SourceSpec | SilverSpec | GoldSpec = getattr(domain, ref.layer)[ref.name]
    return spec


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty in every row."""
    kept = [n for n in range(len(head)) if any(row[n] for row in rows)]
    lines = [
        [head[n] for n in kept],
        ["---"] * len(kept),
        *([row[n] for n in kept] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _first(spec: SourceSpec | SilverSpec | GoldSpec) -> str:
    """The first sentence of a table's description; of a source without one, its files."""
    said = re.split(r"(?<=\w)\. ", _cell(spec.description), maxsplit=1)[0].rstrip(".")
    return said or (f"files `{spec.pattern}`" if isinstance(spec, SourceSpec) else "")


def _link(label: str) -> str:
    """A link to a table's own section."""
    return f"[`{label}`](#{label.replace('.', '').lower()})"


def rendered(text: str) -> str:
    """The page with each of its generated parts as the code has it now.

    Raises:
        KeyError: The page names a part that nothing generates.
    """

    def part(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- generated: {name} -->\n\n{GENERATORS[name]()}\n\n<!-- end -->"

    return _PART.sub(part, text)


def pages() -> Iterator[Path]:
    """The pages that have generated parts."""
    return (p for p in sorted(DOCS.rglob("*.md")) if _PART.search(p.read_text("utf-8")))


def _context(name: str) -> dict[str, Any]:
    return {
        **cli.context_settings,
        "info_name": name,
        "terminal_width": 90,
        "max_content_width": 90,
    }


def _walk(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None  # noqa: S101 - it is in the list
            own = click.Context(below, parent=context, **_context(name))
            yield from _walk(below, own)


def _sentence(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split())


def _table(kind: type, section: str) -> str:
    meanings, hints = _field_docs(kind), get_type_hints(kind)
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for field in fields(kind):
        if kind is Config and field.name in (*SECTIONS, "domain"):
            continue
        key = f"{section}.{field.name}" if section else field.name
        cells = (key, _type_name(hints[field.name]), _default(field))
        code = " | ".join(f"`{cell}`" if cell else "" for cell in cells)
        lines.append(f"| {code} | {meanings.get(field.name, '')} |".replace("  |", " |"))
    return "\n".join(lines)


def _field_docs(kind: type) -> dict[str, str]:
    """The string below each field, which Python itself does not keep."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - the source of a class
    found: dict[str, str] = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            text = " ".join(str(below.value.value).split())
            found[field.target.id] = text.replace("|", "\\|")
    return found


def _type_name(hint: Any) -> str:
    """A type as YAML's reader would say it."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(str(choice.value) for choice in hint)
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    for found, said in ((r"\b(?:\w+\.)+(\w+)", r"\1"), (r" \| None", " or null")):
        text = re.sub(found, said, text)
    return text


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        made = field.default_factory()
        return str(made) if isinstance(made, (list, dict)) else ""
    if field.default is MISSING or field.default == MUST_GIVE:
        return ""
    value = field.default
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) or '""'


def main() -> int:
    """Write every page again; returns the exit status."""
    for page in pages():
        before = page.read_text("utf-8")
        after = rendered(before)
        if after != before:
            page.write_text(after, "utf-8")
            sys.stdout.write(f"{page.relative_to(DOCS.parent)} written\n")
    for page, text in domain_pages().items():
        if not page.exists() or page.read_text("utf-8") != text:
            page.parent.mkdir(exist_ok=True)
            page.write_text(text, "utf-8")
            sys.stdout.write(f"{page.relative_to(DOCS.parent)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
