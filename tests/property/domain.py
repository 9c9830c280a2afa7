"""The domain that the property tests run: `accounts/` holds it as a person would write one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf

from tasks.domain.spec import DomainSpec, expanded

FOLDER = Path(__file__).parent / "accounts"


def load_domain(name: str = "accounts", without: Collection[str] = ()) -> DomainSpec:
    """Read the domain against its schema.

    Args:
        name: Another name gives the same tables in databases of their own.
        without: Silver and gold tables to leave out; whoever reads one has to be left out too.
    """
    given = OmegaConf.load(FOLDER / "domain.yaml")
    roots = {"roots": {"sql": str(FOLDER / "sql"), "checks": str(FOLDER / "checks")}}
    merged = OmegaConf.merge(OmegaConf.structured(DomainSpec), given, roots)
    domain = cast("DomainSpec", OmegaConf.to_object(merged))
    silver = {n: table for n, table in domain.silver.items() if n not in without}
    gold = {n: table for n, table in domain.gold.items() if n not in without}
    return expanded(replace(domain, name=name, silver=silver, gold=gold))
