"""What can go wrong with a computed archive."""


class BadEntry(ValueError):
    """An entry that no archive can hold; the text names it, and says why."""


class EntriesChanged(RuntimeError):
    """Entries that are not as they were when the archive was laid out: what follows would be wrong bytes."""
