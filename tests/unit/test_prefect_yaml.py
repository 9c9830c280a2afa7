"""deployments/prefect.yaml against the code that it names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow, Task
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid

from conf.load import load_parameters
from flows import step_tasks
from flows.limits import KEY, RUN_LIMIT, read_limits
from flows.services.local import ServiceSettings
from flows.services.orchestration import ROOT_VARIABLE
from storage.errors import ConfigurationError

FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
GIVEN: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
FLAT = {"string", "boolean", "integer", "number", "null"}


DAILY = GIVEN["deployments"][0]


@pytest.fixture(params=GIVEN["deployments"], ids=lambda entry: str(entry["entrypoint"]))
def entry(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each deployment in turn."""
    deployment: dict[str, Any] = request.param
    return deployment


@pytest.fixture
def pipeline(entry: dict[str, Any]) -> Flow[..., Any]:
    return load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)


def test_prefect_reads_every_key_of_the_file(entry: dict[str, Any]) -> None:
    """Prefect passes over keys that it does not know, a misspelt one included."""
    model = PrefectYamlModel.model_validate(GIVEN)
    assert set(GIVEN) - set(PrefectYamlModel.model_fields) == {KEY}
    read = next(d for d in model.deployments if d.entrypoint == entry["entrypoint"])
    assert set(entry) <= set(type(read).model_fields)


def test_entrypoint_is_a_module_path_to_the_flow(
    entry: dict[str, Any], pipeline: Flow[..., Any]
) -> None:
    assert ":" not in entry["entrypoint"]
    assert "/" not in entry["entrypoint"]
    assert f"{pipeline.fn.__module__}.{pipeline.fn.__name__}" == entry["entrypoint"]
    assert pipeline.name == pipeline.fn.__name__


def test_a_deployment_is_named_after_its_flow_and_domain() -> None:
    names = [(e["entrypoint"].rpartition(".")[2], e["name"]) for e in GIVEN["deployments"]]
    assert names == [("pipeline", "olist"), ("backfill", "olist")]


def test_parameters_are_those_of_the_flow(entry: dict[str, Any], pipeline: Flow[..., Any]) -> None:
    signature = inspect.signature(pipeline.fn)
    assert list(entry["parameters"]) == list(signature.parameters)
    assert pipeline.validate_parameters(entry["parameters"]).keys() == signature.parameters.keys()


def test_parameters_make_flat_described_form_fields(pipeline: Flow[..., Any]) -> None:
    schema = parameter_schema(pipeline).model_dump()
    for name, field in schema["properties"].items():
        assert field.get("description"), f"{name} has no description"
        for choice in field.get("anyOf", [field]):
            kind = choice.get("type") or ("string" if "enum" in choice else None)
            assert kind in FLAT | {"array"}, f"{name}: {choice}"
            if kind == "array":
                assert choice["items"].get("type") in FLAT, f"{name}: {choice}"


WRONG: dict[str, dict[str, object]] = {
    "pipeline": {"format": "parquet", "layers": ["platinum"], "as_of": "yesterday"},
    "backfill": {"format": "parquet", "unit": "year", "source": "gold", "start": "2018-03"},
}


@pytest.mark.parametrize("number", range(4))
def test_the_server_refuses_a_wrong_choice(
    pipeline: Flow[..., Any], entry: dict[str, Any], number: int
) -> None:
    name, value = [*WRONG[pipeline.name].items()][number % len(WRONG[pipeline.name])]
    schema = parameter_schema(pipeline).model_dump()
    assert is_valid({**entry["parameters"], "format": "iceberg"}, schema)
    with pytest.raises(Exception, match=name):
        pipeline.validate_parameters({**entry["parameters"], name: value})


def test_parameters_compose(entry: dict[str, Any]) -> None:
    given = entry["parameters"]
    groups = {name: given[name] for name in ("domain", "env", "format")}
    values = {name: given.get(name) or [] for name in ("layers", "tables")}
    config = load_parameters(groups, given["overrides"] or [], values)
    assert (config.domain.name, config.format.name) == (given["domain"], given["format"])


def test_schedule_is_daily_at_two_utc() -> None:
    (schedule,) = DAILY["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "UTC")
    assert schedule["active"] is True


def test_a_backfill_has_no_schedule() -> None:
    assert [e["schedules"] for e in GIVEN["deployments"] if e is not DAILY] == [[]]


def test_one_run_of_a_deployment_at_a_time(entry: dict[str, Any]) -> None:
    assert entry["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_work_pool_is_the_one_that_up_creates(entry: dict[str, Any]) -> None:
    assert entry["work_pool"]["name"] == ServiceSettings(folder=Path("unused")).pool


def test_pull_step_leaves_the_folder_to_the_worker() -> None:
    (step,) = GIVEN["pull"]
    assert step == {
        "prefect.deployments.steps.set_working_directory": {
            "directory": f"{{{{ ${ROOT_VARIABLE} }}}}"
        }
    }


def test_limits_are_those_that_the_code_asks_for() -> None:
    limits = read_limits(FILE)
    assert dict(limits) == GIVEN[KEY]
    assert RUN_LIMIT in limits


@pytest.mark.parametrize("slots", [0, -1, True, "1", 1.5, None])
def test_limit_that_would_block_for_ever_is_refused(tmp_path: Path, slots: object) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump({KEY: {"lakehouse-runs": slots}}), "utf-8")
    with pytest.raises(ConfigurationError, match=rf"{KEY}\.lakehouse-runs"):
        read_limits(file)


def test_tag_limits_are_tags_of_tasks() -> None:
    tagged = {
        tag for task in vars(step_tasks).values() if isinstance(task, Task) for tag in task.tags
    }
    limited = {name.removeprefix("tag:") for name in read_limits(FILE) if name.startswith("tag:")}
    assert limited <= tagged
