"""Domains of a folder outside of the clone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from conf.domains import VARIABLE
from conf.load import compose_config, load_config, load_parameters
from flows.cli import invoke
from flows.cli.services import settings
from flows.typed import overrides_of
from storage.errors import ConfigurationError

DOMAIN = """
name: {name}
roots: {{sql: {name}/sql, checks: ../checks}}
as_of: select 1
bronze:
  sales: {{pattern: "*.csv", columns: [id]}}
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "our domains"
    write(made, "bakery")
    return made


def write(folder: Path, name: str) -> None:
    (folder / "domain").mkdir(parents=True, exist_ok=True)
    (folder / "domain" / f"{name}.yaml").write_text(DOMAIN.format(name=name), "utf-8")


def test_relative_roots_count_from_the_domains_own_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (f"domains='{folder}'", "domains='our domains'"):
        config = load_config(["domain=bakery", given])
        assert config.domain.name == "bakery"
        assert config.domain.roots.sql == str(folder / "domain" / "bakery" / "sql")
        assert config.domain.roots.checks == str(folder / "checks")
        assert config.domains == str(folder)


def test_the_environment_names_several_folders_and_an_override_goes_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "it's"
    write(other, "garage")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(folder), str(other)]))
    assert [load_config([f"domain={n}"]).domain.name for n in ("bakery", "garage", "olist")] == [
        "bakery", "garage", "olist",
    ]  # fmt: skip
    with pytest.raises(
        ConfigurationError, match=r"no choice .bakery.; choices are .*garage.*olist"
    ):
        load_config(["domain=bakery", f'domains="{other}"'])


def test_a_deployments_parameter_chooses_a_domain_of_the_workers_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    given = load_parameters({"domain": "bakery", "env": "dev"}, ["workers=1"], {})
    assert (given.domain.name, given.workers) == ("bakery", 1)
    assert settings(()).paths[VARIABLE] == str(folder)


def test_the_commands_that_are_named_lead_to_the_same_domain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = overrides_of(load_config(["domain=bakery", f"domains='{folder}'", "paths.lake=/lake"]))
    assert text == f"domain=bakery format=delta 'domains={folder}' paths.lake=/lake"
    monkeypatch.setenv(VARIABLE, str(folder))
    text = overrides_of(load_config(["domain=bakery", "paths.lake=/lake"]))
    assert text == "domain=bakery format=delta paths.lake=/lake"
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    text = overrides_of(load_config(["domain=bakery", f"domains='{folder}'", "paths.lake=/lake"]))
    assert text == f"domain=bakery format=delta 'domains={folder}' paths.lake=/lake"


def test_the_configuration_shows_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["config", "domain=bakery", f"domains='{folder}'"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["domains"], shown["domain"]["name"]) == (str(folder), "bakery")
    assert "hydra" not in shown


def test_a_folder_without_domains_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        compose_config([f"domains={tmp_path}"])
    assert refused.value.message == f"domains: there is no folder {tmp_path / 'domain'}"
    assert f"--to {tmp_path}" in refused.value.advice


def test_a_domain_that_would_hide_another_is_refused(folder: Path, tmp_path: Path) -> None:
    write(folder, "olist")
    with pytest.raises(ConfigurationError, match=r"domain olist: there are two, .*olist\.yaml and"):
        load_config(["domain=olist", f"domains='{folder}'"])


def test_a_domain_that_does_not_fit_together_is_named_with_its_file(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_config(["domain=bakery", f"domains='{folder}'", "domain.bronze.sales.delimiter=ab"])
    assert str(folder / "domain" / "bakery.yaml") in refused.value.advice
