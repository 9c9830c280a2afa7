from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import checks
import conf
import flows
import storage
import tasks
from storage.errors import (
    InputError,
    LakehouseError,
    TerminalError,
    TransientError,
)

PACKAGES: tuple[ModuleType, ...] = (storage, checks, tasks, conf, flows)


def _below(kind: type[LakehouseError]) -> Iterator[type[LakehouseError]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


def _all() -> list[type[LakehouseError]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _below(LakehouseError)}
    return [found[name] for name in sorted(found)]


ERRORS = _all()


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_transient_or_terminal(kind: type[LakehouseError]) -> None:
    assert issubclass(kind, TransientError) != issubclass(kind, TerminalError)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_to_another_process(kind: type[LakehouseError]) -> None:
    error = kind.__new__(kind)
    LakehouseError.__init__(error, "what happened", advice="what to do")
    error.__dict__["attempt"] = 3
    for copied in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(copied) is kind
        assert (copied.message, copied.advice) == ("what happened", "what to do")
        assert copied.__dict__["attempt"] == 3
        assert str(copied) == str(error)
        assert copied.args == error.args


def test_advice_follows_the_message_on_its_own_line() -> None:
    assert str(InputError("a.csv: empty")) == "a.csv: empty"
    assert str(InputError("a.csv: empty", advice="Deliver it.")) == "a.csv: empty\n  Deliver it."
