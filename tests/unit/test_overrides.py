from __future__ import annotations

import fnmatch

import pytest

from conf.load import load_config
from conf.overrides import ALLOWED_IN_PARAMETERS, refuse_additions, refuse_untrusted
from storage.errors import ConfigurationError

CHOICES = {"spark": ["local", "small"]}


@pytest.mark.parametrize(
    "override",
    ["env=dev", "workers=2", "paths.lake=/a=b", "as_of=", "domain.silver.x.key=[a,b]"],
)
def test_a_value_may_be_set(override: str) -> None:
    refuse_additions([override])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("+workers=2", "keys can be set, not added or deleted"),
        ("++workers=2", "keys can be set, not added or deleted"),
        ("~workers", "keys can be set, not added or deleted"),
        ("~domain.gold.daily", "keys can be set, not added or deleted"),
        ("~env=dev", "keys can be set, not added or deleted"),
        ("hydra.run.dir=/tmp", "Hydra itself is not configurable"),
        ("hydra/launcher=joblib", "Hydra itself is not configurable"),
        ("hydra=x", "Hydra itself is not configurable"),
        ("spark._target_=os.system", "Hydra itself is not configurable"),
        ("spark.conf={_target_: os.system}", "Hydra itself is not configurable"),
        ("workers", "is not an override"),
        ("", "is not an override"),
        ("=3", "is not an override"),
    ],
)
def test_another_structure_is_refused(override: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        refuse_additions(["env=dev", override])
    assert repr(override) in refused.value.message
    with pytest.raises(ConfigurationError):
        refuse_untrusted([override], CHOICES)


ALLOWED = (
    "as_of=2018-10-17",
    "domain.score_threshold=0.9",
    "domain.silver.orders.quarantine.share=0.2",
    "domain.gold.daily_revenue.volume.tolerance=0.1",
    "retry.attempts=5",
    "spark=small",
    "spark.shuffle_partitions=8",
    "spark.default_parallelism=2",
    "workers=1",
)


def test_a_form_may_set_the_allowed_keys_and_all_of_them_exist() -> None:
    refuse_untrusted(ALLOWED, CHOICES)
    keys = [override.split("=", 1)[0] for override in ALLOWED]
    assert all(fnmatch.filter(keys, pattern) for pattern in ALLOWED_IN_PARAMETERS)
    config = load_config(ALLOWED)
    assert (config.workers, config.retry.attempts, config.as_of) == (1, 5, "2018-10-17 23:59:59")


@pytest.mark.parametrize(
    "override",
    [
        "paths.lake=/etc",
        "env=prod",
        "domain=other",
        "domain.as_of=select 1",
        "domain.generator=os",
        "domain.roots.sql=/tmp",
        "domains=/tmp",
        "export.folder=/tmp",
        "domain.silver.orders.rules.x.when=true",
        "domain.bronze.orders.pattern=*",
        "spark.conf={spark.driver.extraJavaOptions: x}",
        "spark.master=spark://elsewhere",
        "retry=3",
        "AS_OF=2018-10-17",
        " workers=3",
    ],
)
def test_a_form_may_set_nothing_else(override: str) -> None:
    with pytest.raises(ConfigurationError, match="not allowed in a flow parameter") as refused:
        refuse_untrusted(["workers=1", override], CHOICES)
    assert repr(override.split("=", 1)[0]) in refused.value.message
    assert "workers" in refused.value.advice


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "a${paths.lake}", r"'\${oc.env:HOME}'"])
def test_a_form_may_not_read_other_values(value: str) -> None:
    with pytest.raises(ConfigurationError, match="references are not allowed"):
        refuse_untrusted([f"as_of={value}"], CHOICES)
