"""What an archive of a retrieval contains: the members of staged datablocks, as entries.

Within the archive a file is `<dataset's folder>/<path>`. The path is the member's, relative to the dataset's
`sourceFolder`; see `pipeline.delivery.names`. Folders come only where they are empty, a hard link comes as
the file that it is linked to, and of several members of one path the last one, as unpacking leaves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scicat_retriever.computed.entries import Batch, Entry, EntryKind, batch_of
from scicat_retriever.domain.errors import ArchiveNotReady, LinkReleased, ManifestDamaged
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.errors import ManifestDamaged as SealBroken
from scicat_retriever.onepass.manifest import Manifest, read_manifest
from scicat_retriever.onepass.manifest_page import Page
from scicat_retriever.pipeline.delivery.names import relative_path, usable_paths
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger

Wanted = Callable[[str], bool]
"""Says of a path, relative to its dataset's folder, whether it is selected."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A staged datablock that an archive is wanted of.

    Attributes:
        record: As the ledger has it.
        folder: The folder of its dataset in the archive.
        source_folder: Its dataset's `sourceFolder`.
    """

    record: DatablockRecord
    folder: str
    source_folder: str | None


@dataclass(frozen=True, slots=True)
class Source(Needed):
    """A staged datablock that entries are read from.

    Attributes:
        manifest: Its members.
    """

    manifest: Manifest = field(repr=False)


def needed_of(
    folders: Mapping[DatasetPid, str],
    source_folders: Mapping[DatasetPid, str | None],
    datablocks: Callable[[DatasetPid], Sequence[DatablockRecord]],
) -> list[Needed]:
    """Give the staged datablocks of datasets, without reading their manifests.

    Args:
        folders: The datasets, and what their folders are called.
        source_folders: Their `sourceFolder`s.
        datablocks: Gives the datablocks that are wanted of a dataset.

    Raises:
        LinkReleased: One of them is not staged any more.
    """
    found = []
    for pid, folder in folders.items():
        for record in datablocks(pid):
            if record.state is not DatablockState.STAGED:
                raise _released(folder)
            found.append(Needed(record, folder, source_folders.get(pid)))
    return found


def sources(
    needed: Sequence[Needed], ledger: Ledger, early: Callable[[Collection[DatablockKey]], datetime | None]
) -> list[Source]:
    """Read the members of staged datablocks.

    Args:
        needed: The datablocks.
        ledger: The ledger.
        early: Has datablocks read again soon; gives about when that is done (UTC), or None where it never is:
            see `pipeline.staging.early_checks`.

    Raises:
        LinkReleased: One of them is not staged any more.
        ArchiveNotReady: Of one of them it is not known yet what an archive has to say of each file; the
            message says when it will be.
        ManifestDamaged: A manifest does not bear its seal.
    """
    found: list[Source] = []
    lacking: list[DatablockRecord] = []
    for each in needed:
        record = each.record
        sealed = ledger.copies.known_manifest(record.key)
        if sealed is None:
            raise _released(each.folder)
        try:
            manifest = read_manifest(sealed.blob, sealed.seal)
        except SealBroken as error:
            raise ManifestDamaged(f"{record.datablock.archive_id}: {error}") from error
        if not manifest.in_staged:
            raise ArchiveNotReady(
                f"{record.file_name} was staged compressed by an earlier release: it can be downloaded as it is stored "
                "alone, until it has left staging and is asked for again"
            )
        if not manifest.has_crc:
            lacking.append(record)
        found.append(Source(record, each.folder, each.source_folder, manifest))
    if lacking:
        raise ArchiveNotReady(_not_ready(lacking, early([record.key for record in lacking])))
    return found


def _released(folder: str) -> LinkReleased:
    return LinkReleased(f"a part of {folder} was removed from staging: ask for the dataset again in SciCat")


def _not_ready(lacking: Sequence[DatablockRecord], ready: datetime | None) -> str:
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    said = (
        f"{lacking[0].file_name}{more}: staged by an earlier release, so that no zip or tar can be made of it"
    )
    if ready is None:
        return f"{said} (cache.fixity_bytes_per_second is 0); it can be downloaded as it is stored"
    return (
        f"{said} until it was read again, which is done at about {ready:%Y-%m-%d %H:%M} UTC; it can be downloaded as it is stored "
        "meanwhile"
    )


class Contents:
    """The entries of an archive, in batches of a manifest's page each (`computed.entries.Batches`).

    Args:
        of: The staged datablocks.
        wanted: Which paths are selected; None for all.
    """

    def __init__(self, of: Sequence[Source], wanted: Wanted | None = None) -> None:
        self.sources = of
        self._wanted = wanted
        self._places = [
            (number, page) for number, each in enumerate(of) for page in range(len(each.manifest.pages))
        ]
        self._cuts = [_cut_of(each) for each in of]
        self._survey = _survey(self)

    def __len__(self) -> int:
        """Give the number of batches."""
        return len(self._places)

    def __getitem__(self, index: int, /) -> Batch:
        """Make one batch."""
        number, _ = self._places[index]
        page, paths = self.page(index)
        plain = self._wanted is None and not self._survey.replaced and page.letters.count("f") == len(page)
        if plain:
            return _batch_of_files(page, paths, number)
        return _batch(page, paths, number, self._kept(index, page, paths), self._survey.linked.get(index, {}))

    def page(self, index: int) -> tuple[Page, list[str]]:
        """Give a page, and what its members are called in the archive; empty for the dataset's own folder."""
        number, at = self._places[index]
        source, page = self.sources[number], self.sources[number].manifest.pages[at]
        paths = usable_paths(_relative(page.names, self._cuts[number], source.source_folder))
        return page, [f"{source.folder}/{path}" if path else "" for path in paths]

    def originals(self, index: int) -> Mapping[str, str]:
        """Give, by paths in the archive, those of a batch's members that were altered, as they were.

        These are relative to the dataset's own folder; bytes that are no UTF-8 are lone surrogates (PEP 383).
        """
        number, at = self._places[index]
        source, page = self.sources[number], self.sources[number].manifest.pages[at]
        plain = _relative(page.names, self._cuts[number], source.source_folder)
        paths = usable_paths(plain)
        return {
            f"{source.folder}/{path}": name for path, name in zip(paths, plain, strict=True) if path != name
        }

    def source_of(self, index: int) -> int:
        """Give the number of the datablock that a batch is of."""
        return self._places[index][0]

    def _kept(self, index: int, page: Page, paths: Sequence[str]) -> Iterator[int]:
        """Give the rows of a page that are entries."""
        survey, wanted = self._survey, self._wanted
        below = len(self.sources[self.source_of(index)].folder) + 1
        for row, (letter, path) in enumerate(zip(page.letters.lower(), paths, strict=True)):
            is_there = path and letter in _ENTRIES and not (letter == "d" and path in survey.parents)
            is_last = survey.replaced.get(path, (index, row)) == (index, row)
            if is_there and is_last and (wanted is None or wanted(path[below:])):
                yield row


_ENTRIES = {"f": EntryKind.FILE, "h": EntryKind.FILE, "d": EntryKind.FOLDER, "s": EntryKind.SYMLINK}
"""The kinds of entries by the letters of a manifest's page; devices and the names of tapes are none."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A file's content: its size, CRC-32, digest and place."""

    size: int
    crc: int
    digest: str
    offset: int


@dataclass(slots=True)
class _Survey:
    """What of all entries has to be known before the first one is given.

    Attributes:
        replaced: The paths that several members have, and the batch and row of the last one.
        parents: The folders that hold something, where any folder is an entry.
        linked: The contents of hard links, by batch and row.
    """

    replaced: dict[str, tuple[int, int]] = field(default_factory=dict)
    parents: set[str] = field(default_factory=set)
    linked: dict[int, dict[int, _Row]] = field(default_factory=dict)


def _survey(contents: Contents) -> _Survey:
    """Look through all entries: once where all are files of different paths, else some times more."""
    found = _Survey()
    if _all_are_different_files(contents.sources):
        return found
    seen, twice = set[int](), set[str]()
    for index in range(len(contents)):
        paths = contents.page(index)[1]
        counts = Counter(paths)
        twice.update(path for path in paths if counts[path] > 1 or hash(path) in seen)
        seen.update(map(hash, paths))
    for index in range(len(contents)):
        _look_closer(contents, index, twice, found)
    found.linked = _linked(contents)
    return found


def _all_are_different_files(sources: Sequence[Source]) -> bool:
    """Say whether all members are files, no two of one name and folder; equal hashes count as equal names."""
    seen = set[int]()
    for source in sources:
        for page in source.manifest.pages:
            its = (
                {hash((source.folder, name)) for name in page.names}
                if len(sources) > 1
                else set(map(hash, page.names))
            )
            if page.letters.count("f") < len(page) or len(its) < len(page) or not seen.isdisjoint(its):
                return False
            seen |= its
    return True


def _look_closer(contents: Contents, index: int, twice: set[str], found: _Survey) -> None:
    _, paths = contents.page(index)
    for row, path in enumerate(paths):
        if path in twice:
            found.replaced[path] = (index, row)
    for folder in {path.rpartition("/")[0] for path in paths}:
        above = folder
        while above and above not in found.parents:
            found.parents.add(above)
            above = above.rpartition("/")[0]


def _linked(contents: Contents) -> dict[int, dict[int, _Row]]:
    """Find the content of each hard link, by batch and row: that of the last member of the name before it."""
    named = [_targets(each) for each in contents.sources]
    found: dict[int, dict[int, _Row]] = {}
    known: dict[str, _Row] = {}
    of = -1
    for index in range(len(contents)):
        if contents.source_of(index) != of:
            of = contents.source_of(index)
            known.clear()
        if named[of]:
            found[index] = dict(_resolved(contents.page(index)[0], named[of], known))
    return found


def _targets(source: Source) -> set[str]:
    """Give the names that the hard links of a datablock name."""
    return {
        link
        for page in source.manifest.pages
        if "h" in page.letters.lower()
        for letter, link in zip(page.letters, page.links, strict=True)
        if letter in "hH"
    }


def _resolved(page: Page, named: Collection[str], known: dict[str, _Row]) -> Iterator[tuple[int, _Row]]:
    """Give the contents of a page's hard links by their rows; `known` has those of names, and is kept up."""
    digests = page.hexdigests()
    for row, (letter, name) in enumerate(zip(page.letters.lower(), page.names, strict=True)):
        content = None
        if letter == "f":
            content = _Row(page.sizes[row], page.crcs[row], digests[row], page.offsets[row])
        elif letter == "h" and (content := known.get(page.links[row])) is not None:
            yield row, content
        if content is not None and name in named:
            known[name] = content


def _batch_of_files(page: Page, paths: Sequence[str], number: int) -> Batch:
    count = len(page)
    return Batch(
        paths,
        [EntryKind.FILE] * count,
        page.sizes,
        page.crcs,
        page.mtimes,
        page.hexdigests(),
        [number] * count,
        page.offsets,
        [""] * count,
    )


def _batch(
    page: Page, paths: Sequence[str], number: int, rows: Iterable[int], linked: Mapping[int, _Row]
) -> Batch:
    digests, letters = page.hexdigests(), page.letters.lower()
    entries = []
    for row in rows:
        kind = _ENTRIES[letters[row]]
        content = linked.get(row)
        if letters[row] == "f":
            content = _Row(page.sizes[row], page.crcs[row], digests[row], page.offsets[row])
        elif letters[row] == "h" and content is None:
            raise ManifestDamaged(f"nothing is known of what {paths[row]!r} is linked to")
        size, crc, digest, offset = (
            (content.size, content.crc, content.digest, content.offset) if content else (0, 0, "", 0)
        )
        link = page.links[row] if kind is EntryKind.SYMLINK else ""
        entries.append(Entry(paths[row], kind, size, crc, page.mtimes[row], digest, number, offset, link))
    return batch_of(entries)


def _cut_of(source: Source) -> str:
    """Give what all members of a datablock begin with, if that is the `sourceFolder`; else empty."""
    cut = f"{(source.source_folder or '').strip('/')}/"
    if cut == "/":
        return ""
    for page in source.manifest.pages:
        for letter, name in zip(page.letters, page.names, strict=True):
            if not (name.startswith(cut) or (letter in "dD" and cut.startswith(f"{name}/"))):
                return ""
    return cut


def _relative(names: Sequence[str], cut: str, source_folder: str | None) -> list[str]:
    if cut:
        return [name.removeprefix(cut) if name.startswith(cut) else "" for name in names]
    return [
        "" if name == "." else relative_path(name, source_folder) if name[:1] == "/" else name
        for name in names
    ]
