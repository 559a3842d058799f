"""Argument lists of commands, with places for what is known only when one is run. No shell ever sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scicat_retriever.domain.errors import ArchiveIdUnsafe

_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


class CommandTemplate:
    """A program and its arguments, in which `{name}` stands for a value; other braces are kept as they are.

    A value stays inside its argument, whatever it holds. A value never becomes an option either: an argument
    that would begin with the `-` of a value is refused, unless `--`, which ends options, stands before it
    (POSIX.1-2017, XBD 12.2).

    Args:
        arguments: The program, then its arguments.
        fields: The names that may stand in braces.

    Attributes:
        fields: The names that stand in braces.

    Raises:
        ValueError: The command cannot be used; the message says why.
    """

    def __init__(self, arguments: Sequence[str], fields: frozenset[str]) -> None:
        self._arguments = tuple(arguments)
        self.fields = frozenset(name for argument in arguments for name in _FIELD.findall(argument))
        if not arguments or not arguments[0] or _FIELD.search(arguments[0]):
            raise ValueError("a command begins with the name or the path of a program, without braces")
        if any("\0" in argument for argument in arguments):
            raise ValueError("a command must not hold NUL")
        if unknown := sorted(self.fields - fields):
            raise ValueError(
                f"{{{unknown[0]}}} is not known here: {', '.join(f'{{{name}}}' for name in sorted(fields))}"
            )

    @property
    def program(self) -> str:
        """The program's name or path."""
        return self._arguments[0]

    def expand(self, values: Mapping[str, str]) -> list[str]:
        """Put the values in the place of their names.

        Raises:
            ArchiveIdUnsafe: An argument would become an option, or a value holds NUL.
        """
        expanded, options_ended = list[str](), False
        for argument in self._arguments:
            text = _FIELD.sub(lambda field: values[field[1]], argument)
            if "\0" in text:
                raise ArchiveIdUnsafe(f"{text!r} holds NUL: it cannot be given to a command")
            if text.startswith("-") and not argument.startswith("-") and not options_ended:
                raise ArchiveIdUnsafe(
                    f"{text!r} would be an option of {self.program}: put '--' before it in the command, if that ends options"
                )
            options_ended = options_ended or argument == "--"
            expanded.append(text)
        return expanded
