"""An HSM's own word on a file: by a command, an extended attribute, or a dot command of dCache's NFS."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, field_validator

from scicat_retriever.domain.errors import RecallError, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import RecallState
from scicat_retriever.section import Section
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.lts.posix.files import SeenFile
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand, NamedArchive
from scicat_retriever.storage.lts.programs.child import OUTPUT_LIMIT, in_words
from scicat_retriever.storage.lts.programs.words import StoreWords, Word

_TRUSTED = "trusted."
_CAP_SYS_ADMIN = 21
"""Number of a capability; without it, Linux says that no attribute in `trusted.` is there (xattr(7))."""
_ALL_USERS = ["0", "0", "4294967295"]

PROBE_FIELDS = frozenset({"path", "archive_id"})


class CommandProbe(Section):
    """A command says where a file is."""

    kind: Literal["command"] = Field(description="A command says where a file is.")
    command: tuple[str, ...] = Field(
        description="The program and its arguments, in which `{path}` is the file's absolute path, `{archive_id}` the "
        "archiveId. No shell is between.",
    )
    words: StoreWords = Field(
        description="What the command's answer means. The file's path, its name and the archiveId are taken out of it before."
    )

    @field_validator("command")
    @classmethod
    def _usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ArchiveCommand(value, PROBE_FIELDS)
        return value


class XattrProbe(Section):
    """An extended attribute says where a file is."""

    kind: Literal["xattr"] = Field(description="An extended attribute says where a file is.")
    name: str = Field(min_length=1, description="The attribute, with its name space: `user.hsm.state`.")
    words: StoreWords = Field(description="What its value means.")
    absent: Word | None = Field(
        None, description="What it means that a file has no such attribute. Not set: its blocks tell."
    )


class DotCommandProbe(Section):
    """A file that the file system makes up beside each file, as dCache over NFS does, says where it is."""

    kind: Literal["dot_command"] = Field(description="A made-up file beside each file says where it is.")
    file: str = Field(
        ".(get)({name})(locality)", description="Its name, in which `{name}` is the name of the file itself."
    )
    words: StoreWords = Field(description="What it holds means.")

    @field_validator("file")
    @classmethod
    def _usable(cls, value: str) -> str:
        if "{name}" not in value or "/" in value or "\0" in value:
            raise ValueError("must hold {name}, and neither '/' nor NUL")
        return value


class PresetProbe(Section):
    """What a well-known HSM says, read as it is documented."""

    kind: Literal["lustre", "gpfs", "dmf", "dcache"] = Field(
        description="`lustre`: `lfs hsm_state`; `gpfs`: `mmlsattr -L`; `dmf`: `dmattr -a state`; `dcache`: the dot command "
        "`.(get)(NAME)(locality)`."
    )
    program: str | None = Field(
        None,
        min_length=1,
        description="Where the program is, if not in the usual place. `dcache` needs none.",
    )


Probe = CommandProbe | XattrProbe | DotCommandProbe | PresetProbe
"""How an HSM is asked where a file is; `kind` tells which."""

_COMMANDS: Mapping[str, tuple[tuple[str, ...], StoreWords]] = {
    # lfs-hsm(1) of Lustre 2.15, flags as llapi_hsm_state_get(3) names them. What is lost in the HSM and still
    # here is online.
    "lustre": (
        ("lfs", "hsm_state", "{path}"),
        StoreWords(
            lost=r"\breleased\b.*\blost_from_hsm\b",
            offline=r"\) released\b",
            online=r"\(0x[0-9a-f]{8}\)",
        ),
    ),
    # mmlsattr of IBM Storage Scale: "Misc attributes: ARCHIVE OFFLINE" of a migrated file.
    "gpfs": (
        ("/usr/lpp/mmfs/bin/mmlsattr", "-L", "{path}"),
        StoreWords(offline=r"^Misc attributes:.*\bOFFLINE\b", online=r"^Misc attributes:"),
    ),
    # dmattr(1) of DMF. MIG is still being copied to tape, DUL is on both, PAR is there in parts, UNM comes
    # back.
    "dmf": (
        ("dmattr", "-a", "state", "{path}"),
        StoreWords(
            unavailable=r"^INV\s*$",
            recalling=r"^UNM\s*$",
            offline=r"^(OFL|PAR)\s*$",
            online=r"^(REG|MIG|DUL|NMG)\s*$",
        ),
    ),
}
# "Specialized NFS Dot Commands" of the dCache book; UNAVAILABLE may pass, when a pool comes back.
_DCACHE = StoreWords(
    lost=r"^LOST\s*$",
    unavailable=r"^UNAVAILABLE\s*$",
    offline=r"^NEARLINE\s*$",
    online=r"^ONLINE(_AND_NEARLINE)?\s*$",
)


class ShareProbe(Protocol):
    """Asks an HSM about one file."""

    def ask(self, archive_id: ArchiveId, file: SeenFile) -> RecallState | RecallError | None:
        """Give the HSM's word; None where it has none, and an error as a value."""
        ...


def share_probe(settings: Probe, timeout: float, environment: Mapping[str, str]) -> ShareProbe:
    """Make the probe that the settings describe.

    Args:
        settings: How to ask the HSM.
        timeout: Seconds that a command may take.
        environment: All variables of a command's environment.
    """
    match settings:
        case CommandProbe():
            return _ByCommand(settings.command, settings.words, timeout, environment)
        case XattrProbe():
            return _ByXattr(settings)
        case DotCommandProbe():
            return _ByDotCommand(settings.file, settings.words)
        case PresetProbe(kind="dcache"):
            return _ByDotCommand(".(get)({name})(locality)", _DCACHE)
        case PresetProbe():
            command, words = _COMMANDS[settings.kind]
            program = settings.program or command[0]
            return _ByCommand((program, *command[1:]), words, timeout, environment)


class _ByCommand:
    def __init__(
        self, command: tuple[str, ...], words: StoreWords, timeout: float, environment: Mapping[str, str]
    ) -> None:
        self._command = ArchiveCommand(command, PROBE_FIELDS, timeout, environment)
        self._words = words

    def ask(self, archive_id: ArchiveId, file: SeenFile) -> RecallState | RecallError | None:
        path = str(file.path())
        try:
            archive = NamedArchive(archive_id, path)
            return self._words.of_command(self._command.run([archive]), archive_id, archive.names)
        except RecallError as error:
            return error


class _ByXattr:
    def __init__(self, settings: XattrProbe) -> None:
        self._settings = settings

    def ask(self, archive_id: ArchiveId, file: SeenFile) -> RecallState | RecallError | None:
        name = self._settings.name
        try:
            value = os.getxattr(file.reference(), name)
        except OSError as error:
            if error.errno != errno.ENODATA:
                return StoreUnavailable(f"{name} of {archive_id!r} cannot be read: {error.strerror}")
            if name.startswith(_TRUSTED) and not _sees_trusted():
                return StoreAway(
                    f"{name} cannot be read without CAP_SYS_ADMIN: give the service that capability"
                )
            if (absent := self._settings.absent) is None:
                return None
            words = StoreWords.model_validate({absent: ""})
            return words.of_text(f"it has no {name}", archive_id)
        return self._settings.words.of_text(value.rstrip(b"\0").decode("utf-8", "replace"), archive_id)


class _ByDotCommand:
    def __init__(self, name: str, words: StoreWords) -> None:
        self._name = name
        self._words = words

    def ask(self, archive_id: ArchiveId, file: SeenFile) -> RecallState | RecallError | None:
        path = file.path()
        beside = path.with_name(self._name.replace("{name}", path.name))
        try:
            said = _read_small(beside)
        except OSError as error:
            return StoreUnavailable(
                f"{in_words(beside.name)} beside {archive_id!r} cannot be read ({error.strerror}): is this file system dCache?"
            )
        return self._words.of_text(said.decode("utf-8", "replace"), archive_id)


def _sees_trusted() -> bool:
    """Say whether this thread has CAP_SYS_ADMIN over all users.

    In a container it may have it over the container's users alone (user_namespaces(7)).
    """
    status = Path("/proc/thread-self/status").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    has_it = found is not None and int(found[1], 16) >> _CAP_SYS_ADMIN & 1 == 1
    return has_it and Path("/proc/self/uid_map").read_text(encoding="ascii").split() == _ALL_USERS


def _read_small(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, OUTPUT_LIMIT)
    finally:
        os.close(descriptor)
