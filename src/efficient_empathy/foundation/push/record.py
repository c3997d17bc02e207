"""What a push says of itself: in the store, and to its caller."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects.address import display_name, within
from efficient_empathy.foundation.objects.store import Entry, Store
from efficient_empathy.foundation.run.manifest import first_fault
from efficient_empathy.foundation.run.record import Part, Record

NAME = "push.json"


class PushedFile(Part):
    """A file of the run as it lies in the store."""

    sha256: str
    size: int
    etag: str | None = None
    """The object's version as the store has it; None before it is whole."""

    def is_at(self, entry: Entry | None) -> bool:
        """Whether an object is this file, as it was put there."""
        return entry is not None and self.etag is not None and (entry.size, entry.version) == (self.size, self.etag)


class PushRecord(Record):
    """What `push` has put into a folder of an object store. It is written last; a folder that is half done says so."""

    PLACE: ClassVar[str] = "push.json in the store"
    REMEDY: ClassVar[str] = "`efficient-empathy push RUN URL`"

    run: str
    """The name of the run's folder."""
    complete: bool
    """Whether all of the files are there. False while they are being put there, and after a push that was killed."""
    files: dict[str, PushedFile]
    """By path in the run's folder."""

    @classmethod
    def there(cls, store: Store, folder: str) -> PushRecord | None:
        """The record in a folder of a store; None where there is none. Raises `UserError` for one that is no record."""
        url = within(folder, NAME)
        content = store.read(url)
        try:
            return None if content is None else cls.model_validate_json(content, context={"file": url})
        except ValidationError as error:
            raise UserError(f"{display_name(url)} is no record of a push ({first_fault(error)}): delete it") from error


class PushResult(Part):
    """What a call of `push` did."""

    url: str
    files: int
    """Files of the run that are there now."""
    bytes: int
    uploaded: int
    """Of these, how many were put there by this call."""
    uploaded_bytes: int
    deleted: int
    """Objects of an earlier push that the run has no file for any more."""
    left_out: tuple[str, ...] = ()
    """Stages that were interrupted, whose files are not there."""
    seconds: float
    skipped: bool
    """Whether nothing had changed."""
