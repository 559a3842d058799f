"""Where the bytes of a copy go."""

from typing import Protocol


class Sink(Protocol):
    """Takes the bytes of an archive, in their order, from one thread.

    An OSError that it raises is told as `PartialWriteFailed`; an error of any other kind reaches the caller
    of the copy as it is.
    """

    def write(self, data: memoryview, /) -> int:
        """Take some bytes from the start of `data`, at least one; gives how many.

        May block as long as the storage does.

        The buffer is used again once all of it was taken: a sink that needs the bytes for longer copies them.

        Raises:
            OSError: They cannot be written.
        """

    def seal(self) -> None:
        """Make all that was written durable; nothing is written any more.

        Raises:
            OSError: The bytes cannot be made durable, or the storage holds something else than what was
                written.
        """
