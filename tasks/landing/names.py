"""Names of deliveries, from a folder or an object store alike: which of them count, and in what order."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from fsspec.utils import glob_translate

from storage.errors import InputError

HIDDEN = (".", "_")
"""How the names of files and folders begin that are nobody's delivery: temporary files of writers, markers
such as `_SUCCESS`, the API's inbox."""


def matching(pattern: str, *, hidden: bool) -> Callable[[str], bool]:
    """Whether a name, relative to the landing folder, is one that a pattern means at any depth.

    Args:
        pattern: Glob; letters that can be written in two ways in Unicode are the same letter.
        hidden: Whether names count that begin with a dot or an underscore.

    Raises:
        ValueError: It is not a glob.
    """
    wanted = re.compile(glob_translate(f"**/{_composed(pattern)}"))
    return lambda name: (
        wanted.match(_composed(name)) is not None and (hidden or not is_hidden(name))
    )


def is_hidden(name: str) -> bool:
    """Whether a file's name, or that of a folder that it is in, begins with a dot or an underscore."""
    return any(part.startswith(HIDDEN) for part in name.split("/"))


def delivery_order(name: str) -> tuple[str, ...]:
    """What names sort by: folder by folder, then the file, so that dated folders follow their dates."""
    return tuple(_composed(name).split("/"))


def text_of(name: str) -> str:
    r"""The name as text: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def files_below(folder: Path, pattern: str, *, hidden: bool) -> list[Path]:
    """The files of a folder whose names match, at any depth, in the order in which they are taken.

    Links are followed, but never back to a folder that they are in.

    Raises:
        InputError: A folder cannot be listed.
    """
    wanted = matching(pattern, hidden=hidden)
    root = f"{folder}/"
    names = [path.removeprefix(root) for path in _walked(str(folder), hidden=hidden)]
    return [folder / name for name in sorted(filter(wanted, names), key=delivery_order)]


def _walked(folder: str, *, hidden: bool, above: tuple[str, ...] = ()) -> Iterator[str]:
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _entries(folder):
        if entry.name.startswith(HIDDEN) and not hidden:
            continue
        mode = _mode(entry)
        if stat.S_ISDIR(mode):
            yield from _walked(entry.path, hidden=hidden, above=(*above, here))
        elif stat.S_ISREG(mode):
            yield entry.path


def _mode(entry: os.DirEntry[str]) -> int:
    """What an entry is; 0 for one that was removed, or a link to nothing."""
    try:
        return entry.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return 0
        raise InputError(
            f"{text_of(entry.path)}: it cannot be looked at: {error.strerror}",
            advice="Give this user access to it, or move it out of the landing folder.",
        ) from None


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # removed since its own folder was listed
        return []
    except OSError as error:
        raise InputError(
            f"{text_of(folder)}: the folder cannot be listed: {error.strerror}",
            advice="Give this user access to it, or move it out of the landing folder.",
        ) from None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
