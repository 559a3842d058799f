"""Rules for tars: what is accepted beyond what every program unpacks alike, where an operator says so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TarRules:
    """How a tar is read.

    Attributes:
        joined: whether to read on after the end of the tar, where another one follows. Programs do so only
            where they are told to (``tar --ignore-zeros``).
        gnu_incremental: whether to take what GNU tar writes with ``--incremental`` in its own format: folders
            with a list of their files, and times where POSIX has the start of the path. Python's tarfile
            makes files of the folders, and folders of the times.
    """

    joined: bool = False
    gnu_incremental: bool = False
