"""The sources that the page `connect-rest.md` declares."""

from __future__ import annotations

import re
from pathlib import Path

from omegaconf import OmegaConf

from storage import secrets
from tasks.domain.spec import DomainSpec, SourceSpec

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-rest.md"
YAML = re.compile(r"^```yaml\n(bronze:\n.*?)^```$", re.MULTILINE | re.DOTALL)


def declared(name: str) -> SourceSpec:
    """A source of the page's first YAML block, with what the environment gives."""
    OmegaConf.register_resolver("secret", secrets.reference, replace=True)
    [text, *_] = YAML.findall(PAGE.read_text("utf-8"))
    merged = OmegaConf.merge(
        OmegaConf.structured(DomainSpec),
        {"name": "shop", "as_of": "select 1", "roots": {"sql": "sql", "checks": "checks"}},
        OmegaConf.create(text),
    )
    domain = OmegaConf.to_object(merged)
    assert isinstance(domain, DomainSpec)
    return domain.bronze[name]
