"""Selection: which datablocks, or extracts of them, hold the files that a job chose of a dataset.

A chosen name is a path as the catalogue lists it. Some catalogues, and those who copy from them, begin paths
with `./` or `/`; that makes no difference here, on either side. Names that are spelled otherwise are looked
for by `pipeline.transfer.respelled`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scicat_retriever.domain.dataset import CataloguedDatablock, Selection, united
from scicat_retriever.domain.errors import FilesNotArchived, FilesUnknown
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.pipeline.jobs.plan import refuse_less_than_declared
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.extracts import Extracts
from scicat_retriever.pipeline.transfer.respelled import NAMED, Respelled, look_again
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.datablocks import Plan
from scicat_retriever.ports.ledger import Ledger

NAME_LIMIT = 100
"""Longest name in an error, in characters."""
FILES_READ = 200_000
"""Entries of file lists that are read for one page: about a second's work."""
NAMES_GIVEN = 2**20
"""Characters of file names on one page."""
_BEGINNING = re.compile(r"(?:\./|/)+")


def bare(name: str) -> str:
    """Give a path without the `./` and `/` that it begins with; one that is nothing else stays as it is."""
    begins = _BEGINNING.match(name)
    return name if begins is None else name[begins.end() :] or name


@dataclass(slots=True)
class _Search:
    """Looks for names in one datablock after the other; holds no more than the names and what was found.

    Attributes:
        missing: Bare paths that were not found yet.
        respelled: Bare paths in place of chosen names that are spelled otherwise, with these.
        extracts: Finds extracts.
    """

    missing: set[str]
    respelled: Mapping[str, str]
    extracts: Extracts
    names: frozenset[str] = field(init=False)
    noted: dict[DatablockId, dict[str, str]] = field(default_factory=dict)
    found: list[DatablockId] = field(default_factory=list)
    parts: list[CataloguedDatablock] = field(default_factory=list)
    size: int = 0
    seen: Plan = field(default_factory=lambda: Plan(0, 0, 0))

    def __post_init__(self) -> None:
        self.names = frozenset(self.missing)

    def look_into(self, entry: CataloguedDatablock) -> None:
        block = entry.datablock
        here = [file for file in entry.files if bare(file.path) in self.names]
        if here:
            part = self.extracts.of(entry, here)
            needed = block if part is None else part.datablock
            self.found.append(needed.id)
            self.size += needed.packed_size
            self.missing.difference_update(bare(file.path) for file in here)
            if part is not None:
                self.parts.append(part)
            spelled = {
                self.respelled[bare(file.path)]: file.path
                for file in here
                if bare(file.path) in self.respelled
            }
            if spelled:
                self.noted[needed.id] = spelled
        self.seen = Plan(
            self.seen.datablocks + 1,
            self.seen.files + len(entry.files),
            self.seen.packed_size + block.packed_size,
        )


def resolve(job_id: JobId, selection: Selection, tools: Toolbox) -> None:
    """Note which datablocks of a dataset hold the files that a job chose, and their size.

    Chosen files that no datablock has are noted as unknown.

    Where an extract can be read in place of a datablock, the extract is noted. A file that several datablocks
    list is taken from all of them. Where no chosen file is found, the dataset fails for the job.

    Raises:
        CatalogueError: SciCat does not answer, or does not show all datablocks: no file can be called unknown
            then.
    """
    pid = selection.pid
    names = {bare(name): name for name in selection.files}
    search = _searched(pid, set(names), {}, tools)
    unknown = None
    if search.missing:
        dataset = tools.catalogue.dataset(pid)
        # Where the sums count, a dataset that lost datablocks would lack files, too: that is not the user's
        # error.
        refuse_less_than_declared(dataset, search.seen, tools)
        spelled = [name for path, name in names.items() if path in search.missing]
        again = look_again(pid, spelled, dataset.source_folder, tools)
        if again.paths:
            respelled = {bare(path): name for name, path in again.paths.items()}
            kept = {path for path, name in names.items() if name not in again.paths}
            search = _searched(pid, kept | respelled.keys(), respelled, tools)
            spelled = [name for path, name in names.items() if path in search.missing]
        if spelled:
            unknown = _unknown(pid, spelled, again).failure()
    tools.ledger.needs.note_choice(
        job_id, pid, search.found, search.size, unknown, search.parts, respelled=search.noted
    )


def _searched(pid: DatasetPid, names: set[str], respelled: Mapping[str, str], tools: Toolbox) -> _Search:
    search = _Search(names, respelled, Extracts(pid, tools))
    for entry in tools.catalogue.datablocks(pid):
        search.look_into(entry)
    return search


def _unknown(pid: DatasetPid, names: Sequence[str], again: Respelled) -> FilesUnknown:
    """Say which files there are not; that is the user's fault only where SciCat does not list them either."""
    shown = ", ".join(repr(_short(name)) for name in names[:NAMED])
    more = f" (and {len(names) - NAMED} more)" if len(names) > NAMED else ""
    near = ", ".join(repr(_short(path)) for path in again.nearest)
    nearest = f"; the nearest: {near}" if near else ""
    if again.taken.isdisjoint(names):
        why = "a file is chosen by its path as SciCat lists it"
        return FilesUnknown(f"dataset {pid} has no file {shown}{more}: {why}{nearest}")
    why = "SciCat takes only names of the dataset's original files, so its datablocks lack it or spell it otherwise"
    return FilesNotArchived(f"dataset {pid} has no file {shown}{more}: {why}{nearest}")


def _short(name: str) -> str:
    return name if len(name) <= NAME_LIMIT else name[: NAME_LIMIT - 1] + "…"


def chosen_of(job_id: JobId, ledger: Ledger) -> Mapping[DatasetPid, Selection]:
    """Give what a job chose of each of its datasets that it does not want whole."""
    chosen = {each.pid for each in ledger.jobs.datasets(job_id) if each.chosen}
    record = ledger.jobs.get(job_id) if chosen else None
    selections = () if record is None else united(record.job.datasets)
    return {each.pid: each for each in selections if each.pid in chosen}


class ChosenNames:
    """Says which of the files that a job chose its datablocks hold, as long as that costs little.

    File lists are read from the ledger again, `FILES_READ` entries in all, and `NAMES_GIVEN` characters of
    names are given; datablocks that come after that are not looked into.

    Args:
        job_id: The job.
        ledger: The ledger.
    """

    def __init__(self, job_id: JobId, ledger: Ledger) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._chosen = chosen_of(job_id, ledger)
        self._pid: DatasetPid | None = None
        self._names: set[str] = set()
        self._asked_as: dict[str, str] = {}
        self._entries_left = FILES_READ
        self._room = NAMES_GIVEN

    def held_by(self, record: DatablockRecord) -> dict[str, str] | None:
        """Give the catalogued paths of the chosen files, each with the name that it was chosen by.

        None where the job wants the whole dataset, or it was not looked into.
        """
        pid, count = record.key.pid, record.datablock.file_count
        if pid not in self._chosen or count > self._entries_left:
            return None
        if pid != self._pid:
            self._pid, self._names = pid, {bare(name) for name in self._chosen[pid].files}
            respelled = self._ledger.needs.respelled(self._job_id, pid)
            self._asked_as = {path: name for name, path in respelled.items()}
            self._names.update(bare(path) for path in self._asked_as)
        self._entries_left -= count
        files = self._ledger.datablocks.files(record.key)
        paths = [file.path for file in files if bare(file.path) in self._names]
        held = {path: self._asked_as.get(path, path) for path in paths}
        length = sum(len(path) + (len(name) if name != path else 0) for path, name in held.items())
        if length > self._room:
            return None
        self._room -= length
        return held
