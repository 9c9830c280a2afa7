"""Choices that the forms of the flows offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from storage.formats import formats_for

Environment: TypeAlias = Literal["dev", "test", "prod"]
Layer: TypeAlias = Literal["bronze", "silver", "gold", "destination"]
if TYPE_CHECKING:
    FormatName: TypeAlias = str
else:  # the formats are known when the flows are deployed
    FormatName = Literal[formats_for()]
