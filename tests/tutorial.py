"""The tutorial as a program: its files are written and its commands run, in the order of the page."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"(?:^File `(?P<file>[^`]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MASKS = (
    (r"[┃│┡┏┗└┳╇┴┻━─┼├┤┐┘┌┓┩]+", " "),  # frames
    (r"\b\d+\.\d( *)$", r"#\1"),  # seconds, the last cell of a row
    (r"\b\d+\.\d s\b", "# s"),
    (r"\b\d{8}T\d{6}-[0-9a-f]{8}\b", "RUN"),
    (r"(?<=paths\.)(lake|landing)=\S+", r"\1=DIR"),
    (r"\s+", " "),
)
"""What differs from run to run, and the frames that hang on the width of columns."""
LEFT_OUT = "..."
"""A line of an output in place of lines that the page does not show."""


@dataclass(frozen=True)
class Block:
    """A fenced block: a file to write, commands (`sh`), or the output of those before it (`text`)."""

    kind: str
    text: str
    file: str


def blocks() -> Iterator[Block]:
    """The page's blocks."""
    for match in BLOCK.finditer(PAGE.read_text("utf-8")):
        yield Block(match["kind"], match["text"], match["file"] or "")


def commands(text: str) -> list[str]:
    """The lines of a block of commands, those of the set-up left out."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(("make ", "source "))]


def write_files(folder: Path) -> None:
    """Every file of the page, as a reader has them at its end."""
    for block in blocks():
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")


def masked(text: str) -> list[str]:
    """The lines of an output without what differs from run to run."""
    found = []
    for line in text.splitlines():
        for pattern, instead in MASKS:
            line = re.sub(pattern, instead, line)  # noqa: PLW2901
        if line.strip():
            found.append(line.strip())
    return found


class Reader:
    """Someone who does what the page says, in a folder."""

    def __init__(
        self,
        folder: Path,
        lakehouse: Callable[[list[str]], tuple[int, str]],
        set_variable: Callable[[str, str], None],
    ) -> None:
        self._folder, self._lakehouse, self._set = folder, lakehouse, set_variable
        self._status = 0

    def does(self, line: str) -> str:
        """Run one line of a shell; its output."""
        words = shlex.split(line)
        if words[0] == "lakehouse":
            self._status, output = self._lakehouse(words[1:])
            return output
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._set(name, value)
            return ""
        if line == "echo $?":
            return f"{self._status}\n"
        done = subprocess.run(
            ["bash", "-c", line], cwd=self._folder, capture_output=True, text=True, check=True
        )
        return done.stdout
