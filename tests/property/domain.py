"""The domain that the property tests run: `accounts/` holds it as a person would write one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from omegaconf import OmegaConf

from tasks.spec import DomainSpec, expanded

FOLDER = Path(__file__).parent / "accounts"


def load_domain() -> DomainSpec:
    """Read the domain against its schema."""
    given = OmegaConf.load(FOLDER / "domain.yaml")
    roots = {"roots": {"sql": str(FOLDER / "sql"), "checks": str(FOLDER / "checks")}}
    merged = OmegaConf.merge(OmegaConf.structured(DomainSpec), given, roots)
    return expanded(cast("DomainSpec", OmegaConf.to_object(merged)))
