"""How an S3 server says no, and how it tells of a restore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape


class Refusal(Exception):
    """An error that the client is told of.

    Args:
        status: The HTTP status.
        code: S3's error code.
        message: For people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self._code = code
        self._message = message

    def body(self, resource: str) -> bytes:
        """Give the XML of the answer."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self._code}</Code><Message>{escape(self._message)}</Message>"
            f"<Resource>{escape(resource)}</Resource><RequestId>0</RequestId></Error>"
        ).encode()


@dataclass(frozen=True, slots=True)
class RestoreHeader:
    """What an object's restore is told as.

    Attributes:
        expiry: Until when the restored copy is kept (UTC); None while it is on its way.
    """

    expiry: datetime | None

    def as_header(self) -> str:
        """Give the value of `x-amz-restore`."""
        if self.expiry is None:
            return 'ongoing-request="true"'
        return f'ongoing-request="false", expiry-date="{format_datetime(self.expiry, usegmt=True)}"'

    def as_xml(self) -> str:
        """Give the element of a list."""
        if self.expiry is None:
            return "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
        return (
            "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
            f"<RestoreExpiryDate>{self.expiry:%Y-%m-%dT%H:%M:%S.000Z}</RestoreExpiryDate></RestoreStatus>"
        )
