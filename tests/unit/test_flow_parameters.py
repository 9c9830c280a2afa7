"""Whatever comes through a form is data: no parameter of any flow reads the environment or another value."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import logging
import pkgutil
import traceback
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

import conf.load
import flows
import flows.backfill
import flows.pipeline
from conf.overrides import LONGEST
from flows.runs import Run
from flows.runtime import Runtime
from storage.errors import ConfigurationError
from tasks.manage.backfill import planned

KEYS = ("as_of", "workers", "spark", "domain.silver.orders.quarantine.share")
"""A text, a number, a group and a key with a free part among those that a form may set."""
CANARY = "canary-4711"
"""The value of the environment variable that no form may read."""
VARIABLE = "FORM_CANARY"
DEPLOYMENTS = Path(__file__).parents[2] / "deployments" / "prefect.yaml"

TEXTS = {
    "variable": "${oc.env:FORM_CANARY}",
    "variable with default": "${oc.env:FORM_CANARY,x}",
    "within": "gold.${oc.env:FORM_CANARY}",
    "nested": "${oc.env:${oc.env:FORM_NAME}}",
    "decode": "${oc.decode:${oc.env:FORM_CANARY}}",
    "braces escaped for Hydra": r"$\{oc.env:FORM_CANARY\}",
    "all escaped for Hydra": r"\$\{oc.env\:FORM_CANARY\}",
    "escaped for OmegaConf": r"\${oc.env:FORM_CANARY}",
    "twice escaped": r"\\${oc.env:FORM_CANARY}",
    "quoted": "'${oc.env:FORM_CANARY}'",
    "double quoted": '"${oc.env:FORM_CANARY}"',
    "ends a quote": "x','${oc.env:FORM_CANARY}",
    "ends a list": "x],workers=[${oc.env:FORM_CANARY}",
    "cast": r"str($\{oc.env:FORM_CANARY\})",
    "json": r"json_str([$\{oc.env:FORM_CANARY\}])",
    "list": "[${oc.env:FORM_CANARY}]",
    "mapping": "{a: ${oc.env:FORM_CANARY}}",
    "secret": "${secret:FORM_CANARY}",
    "reference to a secret": "{secret:FORM_CANARY}",
    "another key": "${paths.lake}",
    "package": "${package:../../etc}",
    "now": "${now:%Y}",
    "hydra": "hydra.run.dir=/tmp/x",
    "target": "_target_=os.system",
    "assignment": "a=b",
    "deletion": "~workers",
    "addition": "+x=1",
    "sweep": "a,b",
    "range": "range(1,3)",
    "glob": "*",
    "missing": "???",
    "parent": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "own folder": "./olist",
    "quote": 'it\'s "so"',
    "backslash": "\\",
    "line break": "gold.x\nworkers=1",
    "jinja": "{{ $FORM_CANARY }}",
    "shell": "$FORM_CANARY",
    "percent": "%FORM_CANARY%",
    "blank": " ",
    "empty": "",
    "NUL": "\0",
    "long": "${oc.env:FORM_CANARY}" + "x" * 1_000_000,
}


def all_flows() -> dict[str, Flow[..., Any]]:
    """Every flow that a module of the package defines."""
    modules = [
        importlib.import_module(f"flows.{module.name}")
        for module in pkgutil.iter_modules(flows.__path__)
        if not module.ispkg
    ]
    return {
        f"{value.fn.__module__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Flow)
    }


FLOWS = all_flows()
PARAMETERS = [
    (entry, name) for entry, flow in FLOWS.items() for name in inspect.signature(flow.fn).parameters
]


DOMAIN = """
name: tiny
roots: {sql: sql, checks: checks}
as_of: select 1
bronze: {orders: {pattern: "*.csv", columns: [id, day]}}
silver:
  orders:
    source: bronze.orders
    key: [id]
    columns: {id: {}, day: {type: date}}
    partition: {column: day, source: day}
"""
_composed = cache(conf.load.compose_config)


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a domain that is composed in no time."""
    folder = tmp_path_factory.mktemp("domains")
    (folder / "domain").mkdir()
    (folder / "domain" / "tiny.yaml").write_text(DOMAIN, "utf-8")
    return folder


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch, domains: Path) -> None:
    """Flows hand their run back instead of doing it."""
    monkeypatch.setenv("LAKEHOUSE_DOMAINS", str(domains))
    monkeypatch.setattr(
        conf.load, "compose_config", lambda given: copy.deepcopy(_composed(tuple(given)))
    )
    monkeypatch.setenv(VARIABLE, CANARY)
    monkeypatch.setenv("FORM_NAME", VARIABLE)
    for module in (flows.pipeline, flows.backfill):
        monkeypatch.setattr(module, "turn", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(flows.pipeline, "_execute", lambda run: run)
    monkeypatch.setattr(flows.backfill, "as_state", lambda _, data: data)
    monkeypatch.chdir(domains)
    monkeypatch.setattr(flows.backfill, "_execute", _planned)


class _Planned:
    """What a backfill was asked for."""

    summary = None

    def __init__(self, run: Run, *asked: object) -> None:
        self.runtime, self.asked = run.runtime, asked


def _planned(run: Run, request: Any, parallelism: int) -> _Planned:
    planned(run.runtime.context(spark=False), request)
    return _Planned(run, request, parallelism)


def called(entry: str, **parameters: Any) -> Any:
    """What a worker does with the parameters of a form, short of the run itself."""
    flow = FLOWS[entry]
    return flow.fn(**flow.validate_parameters({"domain": "tiny", **parameters}))


def values(entry: str, name: str, text: str) -> Iterator[Any]:
    """The text as that parameter, in each place where it takes one."""
    if name == "overrides":
        yield [text]
        yield [f"{text}=1"]
        yield from ([f"{key}={text}"] for key in KEYS)
    elif "list" in str(inspect.signature(FLOWS[entry].fn).parameters[name].annotation):
        yield [text]
        yield ["silver.orders", text]
    else:
        yield text


def outcome(entry: str, name: str, value: Any) -> tuple[Runtime | None, Exception | None]:
    """What the run would work with, or why there is none."""
    try:
        return called(entry, **{name: value}).runtime, None
    except Exception as error:  # noqa: BLE001 - whichever it is, it is looked at
        return None, error


def told(error: BaseException | None) -> str:
    """All that a log or a page of the server can show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error) if error else ""


def test_every_flow_is_deployed_and_so_has_a_form() -> None:
    deployed = {e["entrypoint"] for e in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]}
    assert deployed == set(FLOWS)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(("entry", "name"), PARAMETERS)
def test_no_parameter_reads_what_the_form_was_not_given(
    entry: str, name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for value in values(entry, name, text):
        made, error = outcome(entry, name, value)
        assert CANARY not in told(error)
        assert not isinstance(error, ConfigurationError) or len(error.message) < LONGEST * 3
        assert CANARY not in repr(made)
        assert error or name == "overrides", f"{name}={value!r} was taken"
    assert CANARY not in caplog.text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["domain", "layers", "tables"])
def test_text_that_is_no_name_is_refused(name: str, text: str) -> None:
    value = text if name == "domain" else [text]
    with pytest.raises(Exception, match=name) as refused:
        called("flows.pipeline.pipeline", **{name: value})
    assert name == "layers" or isinstance(refused.value, ConfigurationError)


def test_what_is_refused_is_named_as_it_was_given() -> None:
    with pytest.raises(ConfigurationError) as refused:
        called("flows.pipeline.pipeline", tables=["${oc.env:FORM_CANARY}"])
    assert refused.value.message.startswith(
        "domain tiny: tables: '${oc.env:FORM_CANARY}' is none of bronze.orders"
    )


ESCAPED = (r"as_of=$\{oc.env:FORM_CANARY\}", r"as_of=str($\{oc.env:FORM_CANARY\})")


@pytest.mark.parametrize("override", ESCAPED)
@pytest.mark.parametrize("entry", FLOWS)
def test_signs_that_are_escaped_for_hydra_are_the_signs(entry: str, override: str) -> None:
    with pytest.raises(ConfigurationError, match="references are not allowed"):
        called(entry, overrides=[override])


@pytest.mark.parametrize("choice", ["../env/dev", "/spark/local", "olist", "[small]", "null", ""])
def test_a_group_has_its_own_choices_only(choice: str) -> None:
    with pytest.raises(ConfigurationError, match="spark: no choice"):
        called("flows.pipeline.pipeline", overrides=[f"spark={choice}"])


@pytest.mark.filterwarnings("ignore:extend_list")
@pytest.mark.parametrize(
    "override",
    ["domain.silver.orders.columns.quarantine.expr=x", "retry.attempts.more=1", "retry.attempts@x=1",
     "workers=range(1,3)", "workers=1,2", "as_of=extend_list(1)"],
)  # fmt: skip
def test_an_allowed_key_is_that_key_with_one_value(override: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not allowed in a flow parameter|one value"):
        called("flows.pipeline.pipeline", overrides=[override])


def test_parameters_are_taken_and_an_override_of_the_same_key_goes_before() -> None:
    day = date(2026, 1, 5)
    made = called(
        "flows.pipeline.pipeline", format="iceberg", layers=["silver"], tables=["silver.orders"],
        as_of=day, overrides=["workers=2", "spark=small"],
    )  # fmt: skip
    config = made.runtime.config
    assert (config.domain.name, config.format.name, config.workers) == ("tiny", "iceberg", 2)
    assert (config.layers, config.tables) == (["silver"], ["silver.orders"])
    assert config.as_of == made.runtime.run.as_of == "2026-01-05 23:59:59"
    made = called("flows.pipeline.pipeline", as_of=day, overrides=["as_of=2026-01-06"])
    assert made.runtime.config.as_of == "2026-01-06 23:59:59"


def test_a_backfill_is_asked_for_what_the_form_says() -> None:
    day = date(2026, 1, 5)
    made = called(
        "flows.backfill.backfill", tables=["orders"], start=day, end=day + timedelta(1), unit="day",
        parallelism=3, overrides=["as_of=2026-01-06"],
    )  # fmt: skip
    assert made.runtime.run.as_of == "2026-01-06 23:59:59"
    request, parallelism = made.asked
    assert (request.tables, request.start, request.unit.value, parallelism) == (
        ("orders",), day, "day", 3,
    )  # fmt: skip
