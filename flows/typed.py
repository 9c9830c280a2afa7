"""The overrides that name a run's domain and folders, as they can be typed after a command."""

from __future__ import annotations

import os
import shlex

from conf.domains import of_environment
from conf.formats import layer_formats
from conf.overrides import assigned
from conf.schema import Config


def overrides_of(config: Config, *, landing: bool = False) -> str:
    """Domain, formats and lake; the landing folder where asked for, `domains` where nothing else says it."""
    where = {"domain": config.domain.name, "format": config.format.name}
    where |= {f"format.{layer}": name for layer, name in layer_formats(config.format).items()}
    if config.domains and config.domains != os.pathsep.join(map(str, of_environment())):
        where["domains"] = config.domains
    where["paths.lake"] = config.paths.lake
    if landing:
        where["paths.landing"] = config.paths.landing
    return " ".join(shlex.quote(assigned(key, value)) for key, value in where.items())
