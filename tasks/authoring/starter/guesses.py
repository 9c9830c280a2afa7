"""What a profile suggests: types, key, personal data, an example of a gold table. Each guess is said."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import InputError
from tasks.authoring.starter.csv_profile import FEW, Column, Profile
from tasks.authoring.starter.text import sql

INT_LIMIT = 2**31 // 10
"""Greater numbers are `bigint`: a counter that came so far goes further."""
MOST_DIGITS, MONEY_DIGITS, MOST_SCALE = 38, 18, 6
CODE = re.compile(
    r"(^|_)(zip|zipcode|postal|postcode|plz|cep|phone|mobile|fax|tel|iban|ssn|ean|isbn|sku|barcode|code)(_|$)"
)
IDENTIFYING = re.compile(r"(^|_)(id|uuid|guid|key|code|number|no|nr)$|[a-z]Id$|^id(_|$)", re.ASCII)
PERSONAL = {
    "contact": r"e?mail|email_address|phone|mobile|fax|tel|telephone",
    "name": r"(first|last|full|middle|given|family|sur|customer|user|contact|person|client|employee)_?name"
    r"|surname|firstname|lastname|fullname",
    "address": r"address|street|city|zip|zipcode|postal|postcode|plz|cep|latitude|longitude|lat|lng|lon",
    "birth": r"birth|birthday|birthdate|dob|age|gender|sex",
    "payment": r"iban|card_number|account_number|credit_card|bic",
    "identifier": r"ssn|passport|tax_id|national_id|cpf|ip|ip_address"
    r"|(customer|user|person|client|employee)_?id",
    "free text": r"comment|comments|message|note|notes|remark|remarks|feedback",
}
_PERSONAL = {kind: re.compile(rf"(^|_)({names})(_|$)") for kind, names in PERSONAL.items()}


@dataclass(frozen=True)
class Typed:
    """A column with the type that all of its values have.

    Attributes:
        note: Why it is that type where that is not plain, and what could be done; else empty.
        personal: Kind of personal data that its name suggests; else empty.
    """

    column: Column
    type: str
    note: str
    personal: str

    @property
    def name(self) -> str:
        """The column's name in the tables."""
        return self.column.name

    @property
    def is_time(self) -> bool:
        """Whether it places a row in time."""
        return self.type in ("date", "timestamp")

    @property
    def is_number(self) -> bool:
        """Whether it can be summed."""
        return self.type.split("(")[0] in ("int", "bigint", "double", "decimal")


@dataclass(frozen=True)
class Guess:
    """All that is guessed of a file.

    Attributes:
        key: Columns that identify a row.
        time: The column that places a row in time, if there is one.
        group: The column with few values that rows are counted by where there is no time.
        measure: The column that is summed, if there is one.
    """

    profile: Profile
    columns: tuple[Typed, ...]
    key: tuple[str, ...]
    time: Typed | None
    group: Typed | None
    measure: Typed | None


def guess(profile: Profile) -> Guess:
    """Guess types and key.

    Raises:
        InputError: No combination of columns identifies a record.
    """
    columns = tuple(Typed(c, *_type(c), _personal(c.name)) for c in profile.columns)
    key = _key(profile, columns)
    free = [c for c in columns if c.name not in key and not c.personal]
    times = [c for c in columns if c.is_time and not c.personal]
    groups = [
        c
        for c in free
        if c.type in ("string", "boolean")
        and 0 < c.column.distinct <= FEW
        and c.column.distinct < c.column.filled
    ]
    return Guess(
        profile,
        columns,
        key,
        time=next(iter(times), None),
        group=next(iter(groups), None),
        measure=_measure(free),
    )


def is_identifying(name: str) -> bool:
    """Whether a column of that name holds keys rather than quantities or kinds."""
    return IDENTIFYING.search(name) is not None


def _type(column: Column) -> tuple[str, str]:
    """The type, and a note."""
    if not column.filled:
        return "string", "empty in the whole file"
    if column.padded:
        return "string", "a code: numbers would lose the leading zeros or plus signs"
    if column.decimal and CODE.search(column.name.lower()):
        return "string", "a code by its name, so text although it holds numbers"
    if column.decimal == column.filled:
        return _number(column)
    forms = {
        "double": column.scientific, "date": column.dates, "timestamp": column.timestamps,
        "boolean": column.booleans,
    }  # fmt: skip
    found = next((kind for kind, count in forms.items() if count == column.filled), None)
    return (found, "") if found else ("string", _nearly(column, forms))


def _number(column: Column) -> tuple[str, str]:
    if column.whole == column.filled:
        if column.largest is not None and column.largest < 2**63:
            return ("int" if column.largest < INT_LIMIT else "bigint"), ""
        return "string", "numbers that are too long for bigint"
    scale = max(column.scale, 2)
    precision = max(MONEY_DIGITS, column.digits + scale)
    if scale <= MOST_SCALE and precision <= MOST_DIGITS:
        return f"decimal({precision},{scale})", ""
    return "double", f"more than {MOST_SCALE} digits after the point, or too long for a decimal"


def _nearly(column: Column, forms: dict[str, int]) -> str:
    """What nearly is a type, or would be one if it were written in another form."""
    filled, name = column.filled, sql(column.name)
    if column.other_dates == filled:
        expr = f"cast(try_to_timestamp({name}, 'dd.MM.yyyy') as date)"
        form = "with your form in place of dd.MM.yyyy"
        return f"dates of another form: add a column {{type: date, expr: {expr}}} {form}"
    if column.zoned == filled:
        expr = f"try_cast({name} as timestamp)"
        return f"instants with a zone: add a column {{type: timestamp, expr: {expr}}}"
    if column.commas and column.commas + column.whole == filled:
        expr = f"try_cast(replace(replace({name}, '.', ''), ',', '.') as decimal(18,2))"
        return f'numbers with a comma: add a column {{type: "decimal(18,2)", expr: "{expr}"}}'
    kind, count = max(forms.items(), key=lambda item: item[1])
    if count > filled / 2:
        return f"{count:,} of {filled:,} values are a {kind}: with that type the others go to quarantine"
    return ""


def _personal(name: str) -> str:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return next((kind for kind, names in _PERSONAL.items() if names.search(plain)), "")


def _key(profile: Profile, columns: tuple[Typed, ...]) -> tuple[str, ...]:
    if not profile.keys:
        raise InputError(
            f"{profile.path.name}: no column and no combination of up to three identifies a record",
            advice="Say which columns do: --key NAME,NAME. Of records with the same key the last counts.",
        )
    types = {c.name: c.type for c in columns}
    singles = [key for key in profile.keys if len(key) == 1]
    named = [key for key in singles if is_identifying(key[0])]
    plain = [key for key in singles if types[key[0]] in ("string", "int", "bigint")]
    return next(iter([*named, *plain, *profile.keys]))


def _measure(columns: list[Typed]) -> Typed | None:
    """What may be summed: a fraction first, since whole numbers are often years or ranks."""
    numbers = [c for c in columns if c.is_number and not is_identifying(c.name)]
    fractions = [c for c in numbers if c.type.startswith(("decimal", "double"))]
    return next(iter([*fractions, *numbers]), None)
