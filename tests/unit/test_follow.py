"""Runs that follow each other until a signal asks for their end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from flows.cli.follow import follow
from storage.errors import ConfigurationError, TransientError


def test_a_signal_ends_after_the_run_that_is_under_way() -> None:
    calls: list[str] = []

    def once() -> int:
        calls.append("began")
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)
            calls.append("ended")
        return 0

    handler = signal.getsignal(signal.SIGTERM)
    assert follow(once, 0) == 0
    assert calls == ["began", "began", "began", "ended"]
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_second_signal_ends_at_once() -> None:
    def once() -> int:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.7)
        return 0

    with pytest.raises(KeyboardInterrupt):
        follow(once, 0)


def test_a_failure_is_told_and_tried_again_but_not_one_of_the_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    errors = [TransientError("no answer"), ConfigurationError("no such key")]

    def once() -> int:
        raise errors.pop(0)

    with pytest.raises(ConfigurationError, match="no such key"):
        follow(once, 0)
    assert "no answer" in capsys.readouterr().err
