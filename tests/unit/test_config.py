from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.formats import chosen, described
from conf.load import choices, compose_config, load_config
from conf.schema import Config
from storage.errors import ConfigurationError

VARIABLES = ("LAKEHOUSE_LANDING", "LAKEHOUSE_LAKE", "LAKEHOUSE_CACHE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("format_name", choices("format"))
@pytest.mark.parametrize("env", choices("env"))
@pytest.mark.parametrize("domain", choices("domain"))
def test_every_choice_composes(domain: str, env: str, format_name: str) -> None:
    config = load_config(
        [
            f"domain={domain}", f"env={env}", f"format={format_name}",
            "paths.landing=/in", "paths.lake=/lake",
        ]
    )  # fmt: skip
    assert isinstance(config, Config)
    assert (config.domain.name, config.env.name, config.format.name) == (domain, env, format_name)
    assert config.paths.staging == "/lake/_staging"
    assert config.spark.log_file == "/lake/_logs/spark.log"
    assert config.domain.tables()
    assert Path(config.domain.roots.sql).is_dir()
    assert Path(config.domain.roots.checks).is_dir()


def test_relative_folders_count_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_CACHE", "~/jars")
    config = load_config(["paths.lake=lake", "paths.landing=../in"])
    assert config.paths.lake == str(tmp_path / "lake")
    assert Path(config.paths.landing).resolve() == tmp_path.parent / "in"
    assert config.paths.cache == str(tmp_path / "home" / "jars")
    for folder in (config.paths.logs, config.spark.local_dir, config.spark.log_file):
        assert Path(folder).is_relative_to(tmp_path / "lake")


WRONG = {
    "format.silver=parquet": "format.silver: parquet keeps no keys, so it can only add rows: for bronze "
    "only; choose delta or iceberg",
    "format.bronze=hudi": "format.bronze: 'hudi' is none of delta, iceberg, parquet",
    "format=icebrg": "format: no choice 'icebrg'; did you mean iceberg? choices are delta, iceberg",
    "env=3": "env=3: name one choice of env: dev, prod, test",
    "worker=3": "unknown key worker; did you mean workers? choices are api, as_of,",
    "retry.atempts=3": "unknown key retry.atempts; did you mean attempts? choices are "
    "attempts, first_delay_seconds, jitter",
    "domain.silver.order_item.key=[x]": "unknown key domain.silver.order_item; did you mean "
    "order_items",
    "domain.bronze.orders.patern=x": "unknown key domain.bronze.orders.patern; did you mean "
    "pattern? choices are anomalies, columns,",
    "workers=many": "workers: 'many' is not an integer",
    "as_of=[1]": "as_of: [1] is not text",
    "domain.score_threshold=null": "domain.score_threshold: null is not a number",
    "layers=gold": "layers: 'gold' is not a list, which is written [a,b]",
    "layers=silver,gold": "layers=silver,gold: one value, not several",
    "domain.silver.orders.strategy=scd3": "domain.silver.orders.strategy: 'scd3' is not one of "
    "upsert, append, events, snapshot, scd2",
    "workers=[1": "workers=[1: not readable as key=value",
    "as_of=9999-99-99": "domain olist: as_of: '9999-99-99' is not a date or instant like 2018-09-03 12",
    "tables=[gold.nothing]": "domain olist: tables: 'gold.nothing' is none of",
    "locking.run_seconds=nan": "domain olist: locking.run_seconds: nan is not a number of seconds from 0",
    "locking.table_seconds=-1": "domain olist: locking.table_seconds: -1.0 is not a number of seconds",
    "domain.gold.daily_revenue.volume.tolerance=nan": "domain olist: domain.gold.daily_revenue.volume."
    "tolerance: nan is outside 0 to 1",
    "paths.lake=${oc.env:NOT_SET}": "paths.lake: the environment variable NOT_SET is not set",
    "paths.lake=${nowhere}": "spark.local_dir: Interpolation key 'nowhere' not found",
}


@pytest.mark.parametrize(("override", "message"), WRONG.items(), ids=WRONG)
def test_a_wrong_override_is_explained_in_one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config([override])
    assert refused.value.message.startswith(message)
    assert "\n" not in refused.value.message
    for noise in ("search path", "full_key", "object_type", "HYDRA_FULL_ERROR", "hydra.cc"):
        assert noise not in str(refused.value)


def test_chosen_tables_that_the_chosen_layers_leave_out_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"tables: none of silver\.orders is in layers=bronze"
    ):
        load_config(["layers=[bronze]", "tables=[silver.orders]"])
    both = ["silver.orders", "bronze.orders"]
    assert load_config(["layers=[silver,gold]", f"tables=[{','.join(both)}]"]).tables == both


ODD_COLUMNS = """
name: odd
roots: {sql: sql, checks: checks}
as_of: select 1
bronze: {orders: {pattern: "*.csv", columns: [id, Unit price, Größe, "a=b", "it's", "100%"]}}
silver: {orders: {source: bronze.orders, key: [id], columns: {id: {}, price: {source: Unit price}}}}
"""


def test_names_of_columns_that_delta_cannot_have_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "odd.yaml").write_text(ODD_COLUMNS, "utf-8")
    given = ["domain=odd", f"domains={tmp_path}"]
    with pytest.raises(ConfigurationError) as refused:
        load_config(given)
    assert "domain.bronze.orders.columns: 'Unit price' has a character" in refused.value.message
    assert refused.value.message.count("has a character") == 2
    mapped = "format.properties={delta: {delta.columnMapping.mode: name}}"
    for way in ("format=iceberg", "format.bronze=parquet", mapped):
        assert load_config([*given, way]).domain.bronze["orders"].columns[1] == "Unit price"


def test_a_copy_of_a_domain_that_kept_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "copy.yaml").write_text(ODD_COLUMNS, "utf-8")
    with pytest.raises(
        ConfigurationError, match=r"domain\.name: 'odd', but the file is copy\.yaml"
    ):
        load_config(["domain=copy", f"domains={tmp_path}", "format=iceberg"])


def test_missing_values_are_named_with_what_to_give() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config(["env=test"])
    assert refused.value.message == "no value for paths.landing, paths.lake"
    assert refused.value.advice == "Give paths.landing=... paths.lake=..."


def test_unset_variables_are_named_with_the_keys_that_need_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config(["env=prod"])
    assert "paths.lake: the environment variable LAKEHOUSE_LAKE is not set" in refused.value.message
    assert "paths.landing: the environment variable LAKEHOUSE_LANDING" in refused.value.message
    assert "set LAKEHOUSE_LAKE or give paths.lake=..." in refused.value.advice
    monkeypatch.setenv("LAKEHOUSE_LANDING", "/in")
    with pytest.raises(ConfigurationError) as refused:
        load_config(["env=prod"])
    assert refused.value.message == "paths.lake: the environment variable LAKEHOUSE_LAKE is not set"


def test_the_environment_fills_what_production_leaves_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"/from/{name}")
    paths = load_config(["env=prod"]).paths
    assert [paths.landing, paths.lake, paths.cache] == [f"/from/{name}" for name in VARIABLES]


def test_an_environment_chooses_and_overrides_what_the_other_groups_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = ["paths.landing=/in", "paths.lake=/lake"]
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    production = load_config(["env=prod", *paths]).spark
    assert (production.driver_memory, production.conf) == ("8g", {})
    tested, small = load_config(["env=test", *paths]).spark, load_config(["spark=small"]).spark
    assert (tested.driver_memory, tested.conf) == ("2g", small.conf)
    assert tested.conf["spark.sql.codegen.wholeStage"] == "false"
    assert load_config(["env=test", "spark=local", *paths]).spark.conf == {}


def test_references_stay_references_until_the_configuration_is_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORE_PASSWORD", "hunter2")
    composed = compose_config(["format.properties={password: '${oc.env:STORE_PASSWORD}'}"])
    text = OmegaConf.to_yaml(composed, resolve=False)
    assert "hunter2" not in text
    assert "${oc.env:STORE_PASSWORD}" in text


def test_free_mappings_take_names_that_nobody_knows() -> None:
    config = load_config(
        [
            "spark.conf={spark.sql.files.maxPartitionBytes: 64m}",
            "format.properties.delta={delta.appendOnly: 'true'}",
        ]
    )
    assert config.spark.conf == {"spark.sql.files.maxPartitionBytes": "64m"}
    assert config.format.properties["delta"]["delta.appendOnly"] == "true"
    assert "delta.logRetentionDuration" in config.format.properties["delta"]


def test_configurations_are_composed_by_several_threads_at_once() -> None:
    def compose(number: int) -> tuple[int, str]:
        format_name = ("delta", "iceberg")[number % 2]
        config = load_config([f"workers={number}", f"format={format_name}", "paths.lake=/lake"])
        return config.workers, config.format.name

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(compose, range(1, 5)))
    assert made == [(n, ("delta", "iceberg")[n % 2]) for n in range(1, 5)]


def test_a_layer_may_have_a_format_of_its_own() -> None:
    config = load_config(["format=iceberg", "format.bronze=parquet", "format.gold=delta"])
    assert chosen(config.format) == {
        "bronze": "parquet", "silver": "iceberg", "gold": "delta", "ops": "iceberg"
    }  # fmt: skip
    assert described(config.format) == "iceberg (bronze parquet, gold delta)"
    assert set(config.format.properties) == {"delta", "iceberg"}
