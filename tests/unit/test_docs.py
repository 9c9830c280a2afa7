"""The documentation against the code: generated parts, links, commands, columns, the tutorial's domain."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import itertools
import pkgutil
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import click
import pytest
from omegaconf import OmegaConf
from sqlglot import exp, parse_one

from checks.model import CheckSuite
from conf import load
from conf.schema import Config
from flows.cli import cli, invoke
from storage.secrets import reference
from tasks.domain.schemas import (
    BRONZE_METADATA,
    DERIVED_METADATA,
    EVENT_ID,
    MARK,
    SILVER_METADATA,
    SPAN,
    WINDOW,
)
from tasks.domain.spec import DomainSpec, Envelope, FileFormat, SourceKind
from tasks.merge import quarantine
from tasks.ops.tables import TABLES
from tasks.records import releases
from tasks.validation import problems
from tests import tutorial

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
PAGES = [
    ROOT / "README.md",
    ROOT / "deployments" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
CURRENT = [page for page in PAGES if page.parent.name != "adr" and page.name != "changelog.md"]
"""Pages that speak of the program as it is; the others are of their time."""
BACKFILL_KEYS = ("start", "end")
DOMAINS = sorted(file.stem for file in (ROOT / "conf" / "domain").glob("*.yaml"))
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load_generator() -> ModuleType:
    """`docs/generate.py`, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_parts_are_those_of_the_code() -> None:
    generate = load_generator()
    names: set[str] = set()
    for page in generate.pages():
        text = page.read_text("utf-8")
        names |= set(re.findall(r"<!-- generated: ([\w.-]+) -->", text))
        behind = f"{page_id(page)} is behind: python docs/generate.py"
        assert text == generate.rendered(text), behind
    assert names == set(generate.GENERATORS)


def test_every_domain_has_its_page() -> None:
    made = load_generator().domain_pages()
    assert set((ROOT / "docs" / "reference" / "domains").glob("*.md")) == set(made)
    for page, text in made.items():
        assert page.read_text("utf-8") == text, (
            f"{page_id(page)} is behind: python docs/generate.py"
        )


@pytest.mark.parametrize("name", DOMAINS)
def test_every_gold_column_says_what_it_means(name: str) -> None:
    domain = load.load_config([f"domain={name}", "paths.lake=lake"]).domain
    silent = [
        f"gold.{t}.{c}" for t, g in domain.gold.items() for c, s in g.columns.items() if not s.doc
    ]
    assert silent == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_resolve(page: Path) -> None:
    text = _prose(page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", _prose(file.read_text("utf-8")), re.MULTILINE)
            assert anchor in {_slug(heading) for heading in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_output_is_a_placeholder(page: Path) -> None:
    blocks = re.findall(r"^```\w+\n([A-Z_]+\d*)\n```$", page.read_text("utf-8"), re.MULTILINE)
    assert blocks == [], f"{page_id(page)} waits for the output of a command"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in _command_lines(page.read_text("utf-8")):
        _assert_exists(words)


def test_commands_that_messages_name_exist() -> None:
    packages = ("checks", "conf", "flows", "storage", "tasks")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    named = {words for file in files for words in _named_commands(file.read_text("utf-8"))}
    assert {"show", "run", "rebuild"} <= {words.split()[0] for words in named}
    for words in named:
        _assert_exists(words.split())


def _named_commands(code: str) -> Iterator[str]:
    """Words after `lakehouse` in the texts of a module; what is filled in is one word."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in parts)
            yield from re.findall(r"(?:[:`] ?|then )lakehouse ([a-z][^`\n.,;)]*)", text)


def _assert_exists(words: list[str]) -> None:
    """The command of these words exists, with their options."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None, f"lakehouse {' '.join(words)}"
        command = found
    known = {"-h", "--help"} | {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    used = {word for word in rest if re.fullmatch(r"--?[a-z][\w-]*", word)}
    assert used <= known, f"lakehouse {' '.join(words)}"


def test_the_readme_names_every_command() -> None:
    named = {words[0] for words in _command_lines((ROOT / "README.md").read_text("utf-8")) if words}
    listed = re.findall(
        r"^\| (`lakehouse .*?) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    named |= {word for cell in listed for word in re.findall(r"`(?:lakehouse )?(\w+)", cell)}
    assert set(cli.commands) <= named


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_keys_of_overrides_exist(page: Path) -> None:
    for words in _command_lines(page.read_text("utf-8")):
        for word in words if words[:1] != ["quarantine"] else []:  # it takes columns, too
            key = word.partition("=")[0]
            if "=" in word and not key.startswith("-") and key not in (*BACKFILL_KEYS, "KEY"):
                _assert_key(key)


def _assert_key(key: str) -> None:
    """The schema has the key; below a mapping every name is one."""
    kind: Any = Config
    for part in key.split("."):
        if not dataclasses.is_dataclass(kind):
            return
        fields = get_type_hints(kind)
        assert part in fields, f"there is no key {key}"
        kind = fields[part]


@pytest.mark.parametrize("page", CURRENT, ids=page_id)
def test_files_and_names_of_the_code_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    packages = "conf|flows|tasks|storage|checks|deployments|tests|docs"
    for path in re.findall(rf"`((?:{packages})/[\w./-]*)`", text):
        assert "NAME" in path or (ROOT / path).exists(), f"{path} does not exist"
    for name in re.findall(rf"`((?:{packages})(?:\.\w+)+)`", text):
        assert _is_there(name) or re.search(r"\.(?:\w+=|y?aml|sql|csv)", name), (
            f"there is no {name}"
        )


def _is_there(name: str) -> bool:
    """Whether the dotted name is a module, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("page", [p for p in CURRENT if p != tutorial.PAGE], ids=page_id)
def test_columns_of_queries_exist(page: Path) -> None:
    known = _columns()
    text = page.read_text("utf-8")
    for query in re.findall(r'lakehouse sql "([^"]+)"', text):
        parsed = parse_one(query.removesuffix(" ..."), dialect="duckdb")
        made = {alias.alias for alias in parsed.find_all(exp.Alias)}
        used = {column.name for column in parsed.find_all(exp.Column)}
        assert used - made <= known, f"{query}: {used - made - known}"


@cache
def _columns() -> set[str]:
    """Every column of the included domains and of the platform's own tables."""
    domains = [load.load_config([f"domain={n}", "paths.lake=lake"]).domain for n in DOMAINS]
    declared = {
        c
        for d in domains
        for layer in (d.silver, d.gold)
        for t in layer.values()
        for c in t.columns
    }
    declared |= {c for d in domains for source in d.bronze.values() for c in source.columns}
    return declared | _metadata()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_every_column_of_the_platform_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "tables.md").read_text("utf-8")
    assert _metadata() <= set(re.findall(r"`(\w+)`", text))


def _metadata() -> set[str]:
    """The columns that the platform itself gives tables."""
    metadata = (
        *BRONZE_METADATA,
        *SILVER_METADATA,
        *MARK,
        (EVENT_ID, ""),
        (WINDOW, ""),
        *DERIVED_METADATA,
        *SPAN,
        *quarantine.RELEASED_COLUMNS,
    )
    wanted = {name for name, _ in metadata}
    wanted |= {name for schema in TABLES.values() for name in schema.names}
    return wanted | set(releases.SCHEMA.names)


def test_the_tutorials_domain_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tutorial.write_files(tmp_path)
    exports = [line for b in tutorial.blocks() if b.kind == "sh" for line in b.text.splitlines()]
    assert "export LAKEHOUSE_DOMAINS=domains" in exports
    monkeypatch.setenv("LAKEHOUSE_DOMAINS", "domains")
    [begin] = [
        words
        for words in _command_lines(tutorial.PAGE.read_text("utf-8"))
        if words[:2] == ["init", "domain"]
    ]
    (tmp_path / "domains" / "domain" / "bakery.yaml").rename(tmp_path / "grown.yaml")
    shutil.rmtree(tmp_path / "domains")
    assert invoke(begin) == 0
    (tmp_path / "grown.yaml").replace(tmp_path / "domains" / "domain" / "bakery.yaml")
    tutorial.write_files(tmp_path)
    config = load.load_config(["domain=bakery"])
    for ref in config.domain.tables():
        assert CheckSuite.load(Path(config.domain.roots.checks), ref.layer, ref.name).checks
    landing = Path(config.paths.landing)
    for source in config.domain.bronze.values():
        delivered = [*landing.glob(source.pattern), *tmp_path.glob(source.pattern)]
        headers = {f.read_text("utf-8").splitlines()[0] for f in delivered}
        names = {name: header for header, name in source.header.items()}
        assert headers == {",".join(names.get(c, c) for c in source.columns)}


def test_the_sources_of_the_examples_are_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DB_HOST",
        "DB_USER",
        "DB_PASSWORD",
        "USER",
        "SNOWFLAKE_HOST",
        "REDSHIFT_HOST",
        "KAFKA_SERVERS",
    ):
        monkeypatch.setenv(f"SHOP_{name}", name.lower())
    OmegaConf.register_resolver("secret", reference, replace=True)  # as composing does
    pages = [HOW_TO / "sources.md", *sorted(HOW_TO.glob("connect-*.md"))]
    texts = [page.read_text("utf-8") for page in pages]
    parts = [OmegaConf.create(block) for text in texts for block in YAML.findall(text)]
    given = {"name": "shop", "as_of": "select 1", "roots": {"sql": "sql", "checks": "checks"}}
    merged = OmegaConf.merge(OmegaConf.structured(DomainSpec), given, *parts)
    domain = OmegaConf.to_object(merged)
    assert isinstance(domain, DomainSpec)
    assert problems(domain) == []
    assert {(s.kind, s.format, s.envelope) for s in domain.bronze.values()} == {
        (SourceKind.files, FileFormat.csv, Envelope.none),
        (SourceKind.files, FileFormat.jsonl, Envelope.none),
        (SourceKind.files, FileFormat.jsonl, Envelope.debezium),
        (SourceKind.files, FileFormat.parquet, Envelope.none),
        (SourceKind.jdbc, FileFormat.csv, Envelope.none),
        (SourceKind.kafka, FileFormat.csv, Envelope.none),
        (SourceKind.kafka, FileFormat.csv, Envelope.debezium),
        (SourceKind.rest, FileFormat.csv, Envelope.none),
    }


def _prose(text: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _slug(heading: str) -> str:
    """The anchor that a heading gets."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.strip().replace(" ", "-")


def _command_lines(text: str) -> Iterator[list[str]]:
    """Words after `lakehouse` in shell blocks and in inline code."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    joined = [re.sub(r'"[^"]*"', '"text"', block).replace("\\\n", " ") for block in blocks]
    lines = [line for block in joined for line in block.splitlines()]
    lines += re.findall(r"`(lakehouse [^`\n]+)`", _prose(text))
    for line in lines:
        if line.strip().startswith("lakehouse "):
            words = shlex.split(line, comments=True)[1:]
            yield list(itertools.takewhile(lambda word: word not in ("|", ">"), words))
