"""The command that begins something: init domain."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conf.domains import GROUP, KEY, VARIABLE, absolute, of_environment
from conf.load import CONF, PACKAGES, load_config
from conf.overrides import assigned
from storage.disk import creating
from storage.errors import ConfigurationError, StorageDeniedError
from tasks.landing.folders import is_remote
from tasks.landing.names import text_of

if TYPE_CHECKING:
    from tasks.authoring.starter.plan import Plan

NAME = re.compile(r"[a-z][a-z0-9_]*")
VALUES = ("null", "true", "false", "nan", "inf")
"""Names that no command line can choose: `domain=null` names none."""
DELIMITER_NAMES = {"tab": "\t", r"\t": "\t"}


@click.group("init")
def init_group() -> None:
    """Begin something new."""


@init_group.command("domain")
@click.argument("name")
@click.option(
    "--from", "file", required=True, type=click.Path(path_type=Path), help="CSV file with a header."
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of domains outside of this clone; the clone itself where none is given.",
)
@click.option("--table", help="Name of the bronze and silver table; taken from the file's name.")
@click.option("--key", default="", help="Columns that identify a row, as A,B; guessed otherwise.")
@click.option("--delimiter", help="One character between fields, or tab; detected otherwise.")
@click.option("--encoding", default="utf-8", show_default=True, help="Python's name of it.")
def domain_command(
    name: str,
    file: Path,
    folder: Path | None,
    table: str | None,
    key: str,
    delimiter: str | None,
    encoding: str,
) -> None:
    """Write a first domain from one CSV file: YAML, checks, a query and its test.

    It runs as it is. Types, key and tags of personal data are guessed from the whole file, and every
    guess is said. Nothing is overwritten.

    For example: lakehouse init domain bakery --from sales.csv --to domains
    """  # fmt: skip
    from tasks.authoring.starter.csv_profile import read_profile  # noqa: PLC0415 - DuckDB takes a while
    from tasks.authoring.starter.files import files  # noqa: PLC0415
    from tasks.authoring.starter.guesses import guess  # noqa: PLC0415
    from tasks.authoring.starter.plan import Plan, pattern_of, table_name  # noqa: PLC0415

    if text_of(file.name) != file.name:
        raise ConfigurationError(
            f"--from {text_of(file.name)}: its name is not UTF-8", advice="Rename the file."
        )
    table = table or table_name(file.stem) or name
    _refuse_name("NAME", name)
    _refuse_name("--table", table)
    place = _place(name, absolute(folder) if folder else None)
    place.refuse_taken()
    profile = read_profile(
        file,
        encoding=encoding,
        delimiter=DELIMITER_NAMES.get(delimiter or "", delimiter),
        key=[part.strip() for part in key.split(",") if part.strip()],
    )
    plan = Plan(name, table, pattern_of(file.stem, file.suffix), place.roots, guess(profile))
    for path in place.write(files(plan)):
        click.echo(f"written  {_short(path)}")
    for line in (*_said(plan), *_next(plan, file, place)):
        click.echo(line)


COMMANDS = (init_group,)


@dataclass(frozen=True)
class Place:
    """Where the files of a domain go.

    Attributes:
        domain: Its YAML file.
        folders: Folders of the SQL and of the checks.
        roots: How the YAML file names these.
        above: The folder of domains; None for the clone.
    """

    domain: Path
    folders: Mapping[str, Path]
    roots: tuple[str, str]
    above: Path | None

    def refuse_taken(self) -> None:
        """See that nothing of that name is there.

        Raises:
            ConfigurationError: A file or folder of the domain exists, or a domain of that name elsewhere.
        """
        for folder in (CONF, *of_environment()):
            other = folder / GROUP / self.domain.name
            if other != self.domain and other.is_file():
                raise ConfigurationError(
                    f"{_short(other)} is a domain of that name, and one would hide the other",
                    advice="Choose another name: the databases have it as well.",
                )
        for path in (self.domain, *self.folders.values()):
            if path.exists():
                raise ConfigurationError(
                    f"{_short(path)} exists, and nothing is overwritten",
                    advice="Choose another name, or remove the domain's file and folders first.",
                )

    def write(self, texts: Mapping[str, str]) -> Iterator[Path]:
        """Write the files; the domain's own, which makes the others count, comes last."""
        for relative, text in sorted(texts.items(), key=lambda item: item[0] == "domain"):
            kind, _, rest = relative.partition("/")
            path = self.folders[kind] / rest if rest else self.domain
            try:
                with creating(path) as partial:
                    partial.write_text(text, "utf-8")
            except FileExistsError:
                raise StorageDeniedError(
                    f"cannot write {path}: it exists", advice="Choose another --to."
                ) from None
            yield path


def _place(name: str, above: Path | None) -> Place:
    if above is None:
        folders = {"sql": PACKAGES / "tasks" / "sql" / name, "checks": PACKAGES / "checks" / name}
        roots = (f"${{package:tasks/sql/{name}}}", f"${{package:checks/{name}}}")
        return Place(CONF / GROUP / f"{name}.yaml", folders, roots, None)
    beside = above / GROUP
    folders = {"sql": beside / name / "sql", "checks": beside / name / "checks"}
    return Place(beside / f"{name}.yaml", folders, (f"{name}/sql", f"{name}/checks"), above)


def _refuse_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name) or name in VALUES:
        raise ConfigurationError(
            f"{what}: {name!r} cannot be the name of tables and databases",
            advice="Write lower-case letters, digits and underscores, a letter first; "
            f"not {', '.join(VALUES)}.",
        )


def _said(plan: Plan) -> Iterator[str]:
    """What was found and guessed."""
    profile, key = plan.guess.profile, plan.guess.key
    yield f"{profile.rows:,} records, delimiter {profile.delimiter!r}, table {plan.table}"
    if profile.malformed:
        yield f"  {profile.malformed:,} more have another number of fields: they will go to quarantine"
    yield f"key      {', '.join(key)}" + (
        f" (given): {profile.repeated:,} records repeat one" if profile.repeated else ""
    )
    for column in plan.guess.columns:
        tags = f"personal: {column.personal}" if column.personal else ""
        note = "; ".join(part for part in (tags, column.note) if part)
        yield f"  {column.name:<24} {column.type:<14} {note}".rstrip()


def _next(plan: Plan, file: Path, place: Place) -> Iterator[str]:
    """The commands that deliver the file and run the domain."""
    known = place.above is None or place.above in of_environment()
    given = [f"domain={plan.name}", *([] if known else [assigned(KEY, str(place.above))])]
    landing = load_config(given).paths.landing
    yield "next:"
    if not known:
        yield f"  export {VARIABLE}={shlex.quote(str(place.above))}"
    if is_remote(landing):
        yield f"  (copy {shlex.quote(str(file))} to {landing}/ with the object store's own tools)"
    else:
        folder = shlex.quote(_short(Path(landing)))
        yield f"  mkdir -p {folder} && cp {shlex.quote(str(file))} {folder}/"
    yield f"  lakehouse run domain={plan.name} spark=small"
    yield f"  lakehouse show gold.{plan.gold.name} domain={plan.name}"


def _short(path: Path) -> str:
    """The path from the working directory where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
