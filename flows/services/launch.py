"""Start a service: record this process, then replace it with the service's command.

Run as a script by `flows.services.processes`: `python -I launch.py RECORD COMMAND...`. The process itself
writes the record, so that an interrupted `lakehouse up` leaves no service behind that nobody knows of. The
call returns when the command has taken over, with status 1 if it could not.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil

from storage.disk import write_text


def main() -> int:
    """Write pid, start time and command as JSON to RECORD, whole or not at all, and run COMMAND."""
    record, *command = sys.argv[1:]
    taken_over, fault = os.pipe()  # closes by itself when the command takes over
    if os.fork():
        os.close(fault)
        return 1 if os.read(taken_over, 1) else 0
    try:
        _become(record, command)
    except BaseException:
        os.write(fault, b"!")
        raise
    return 1


def _become(record: str, command: list[str]) -> None:
    os.setsid()  # Ctrl-C in the terminal is not for the service
    own = psutil.Process()
    note = {"pid": own.pid, "created": own.create_time(), "command": command}
    write_text(Path(record), json.dumps(note))
    os.execv(command[0], command)  # noqa: S606 - the point: the noted pid is the service's


if __name__ == "__main__":
    sys.exit(main())
