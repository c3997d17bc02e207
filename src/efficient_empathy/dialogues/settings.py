"""How a source is read: the settings of every command that reads dialogues."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from efficient_empathy.foundation.settings import Flag, Settings

OnBadRow = Literal["fail", "skip"]
RoleChoice = Literal["speaker", "listener", "drop"]
SideChoice = Literal["chosen", "rejected", "both"]
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_PROBE = 'a,1;\t"|\n'


def _check_delimiter(text: str) -> str:
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '\r\n"\0' or not delimiter.isascii():
        raise ValueError(f"{text!r} is no delimiter: give one character, or one of {', '.join(_DELIMITER_NAMES)}")
    return delimiter


def _check_encoding(text: str) -> str:
    try:
        usable = _PROBE.encode(text).decode(text) == _PROBE
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise ValueError(f"{text!r} is no text encoding that Python knows: give one such as cp1252, utf-16-le, gb18030")
    return text


def _check_size(value: Any, validate: ValidatorFunctionWrapHandler) -> ByteSize:
    try:
        size: ByteSize = validate(value)
    except ValidationError:
        size = ByteSize(0)
    if size <= 0:
        raise ValueError("must be a size, such as 50GB")
    return size


class ReadingSettings(Settings):
    """How a source is read."""

    format: str | None = None
    """Read as this format instead of recognising it."""
    columns: Annotated[dict[str, str], Flag("--column")] = Field(default_factory=dict)
    """Where a table's columns have other names, e.g. response=answer."""
    roles: Annotated[dict[str, RoleChoice], Flag("--role", metavar="NAME=speaker|listener|drop")] = Field(
        default_factory=dict
    )
    """Whose turns have this role, e.g. coach=listener; drop leaves them out. Wins over the roles known by default."""
    group_by: str | None = None
    """The column that names the conversation, where each row is one message."""
    side: SideChoice | None = None
    """Which replies of preference data are read. Without it, the chosen one of a pair, and all that stand alone."""
    on_bad_row: OnBadRow = "fail"
    """Stop at a row that carries no sample, or count it and go on."""
    encoding: Annotated[str, AfterValidator(_check_encoding)] | None = None
    """The encoding of text without a byte-order mark, e.g. cp1252; UTF-8 by default."""
    delimiter: Annotated[str, AfterValidator(_check_delimiter)] | None = None
    """What separates the fields of CSV: a character, or tab, comma, semicolon, pipe, space; recognised by default."""
    sheet: str | None = None
    """The sheet of a workbook that is read, where more than one has data."""
    max_unpacked: Annotated[ByteSize, WrapValidator(_check_size), Flag(metavar="SIZE")] | None = None
    """The most that a packed file may unpack to, e.g. 50GB; 250 times its size by default, from 256 MiB to 200 GiB."""

    @classmethod
    def of(cls, settings: ReadingSettings | None) -> Self:
        """The reading alone of settings that may have more, the defaults of none."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields}) if settings else cls()


class InspectionSettings(ReadingSettings):
    """How a source is read to be inspected: bad rows are counted."""

    on_bad_row: OnBadRow = "skip"
    """Stop at a row that carries no sample, or count it and go on."""
