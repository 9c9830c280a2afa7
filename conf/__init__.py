"""Configuration: structured schemas, composed by Hydra in one place."""

from __future__ import annotations

import os

# A table of 2,000 columns is more than the 10,000 nodes that OmegaConf reads by itself.
os.environ.setdefault("OMEGACONF_MAX_YAML_EXPANDED_NODES", "1000000")
