"""Respelled: chosen names that SciCat's original lists spell otherwise than its datablocks.

SciCat checks a new job's `files` against the files that a dataset had before it was archived; what can be
retrieved is what its datablocks list. A name is taken for a datablock's file by the rule of
`domain.likeness`, where exactly one of each can be meant, the sizes agree, and the checksums do where both
lists have one of the same algorithm. What is delivered is compared with the datablock's checksum, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from scicat_retriever.domain.dataset import FileEntry, OriginalFile
from scicat_retriever.domain.errors import ChecksumUnknown
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.likeness import Likeness, Spelling, alike
from scicat_retriever.onepass.digests import Digest
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.verify import entry_name

NAMED = 3
"""So many unknown files are named in an error; of the others, their number."""
COMPARED = 5_000
"""Catalogued paths that an unknown name is compared with letter by letter, to find the nearest."""
_LONGEST = 200
"""Characters of a path that are compared so."""
_NEAR, _SAME_END, _ALIKE = 0.6, 2.0, 3.0
"""How near a path has to be, and is that ends as the name does, or is spelled alike."""


@dataclass(slots=True)
class Respelled:
    """What a second look found for names that no datablock lists letter for letter.

    Attributes:
        paths: The catalogued path of each name that is only spelled otherwise.
        taken: The names that SciCat lists among the original files; all, where it shows none of these.
        nearest: Catalogued paths that the others may mean.
    """

    paths: dict[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    nearest: list[str] = field(default_factory=list)


def look_again(pid: DatasetPid, names: Sequence[str], source_folder: str | None, tools: Toolbox) -> Respelled:
    """Look again for chosen names that no datablock lists letter for letter; reads all lists once more.

    Args:
        pid: The dataset.
        names: The names as they were chosen.
        source_folder: The dataset's folder, as catalogued.
        tools: The ports.

    Raises:
        CatalogueError: SciCat does not answer, or does not show all datablocks.
    """
    originals, shown = _originals(pid, names, tools)
    candidates = _Candidates(names, source_folder)
    for block in tools.catalogue.datablocks(pid):
        for file in block.files:
            candidates.offer(file, block.datablock.algorithm)
    found = Respelled(taken=frozenset(originals) if shown else frozenset(names))

    def agree(name: str, path: str) -> bool:
        original = originals.get(name)
        listed = candidates.listed[path]
        return original is not None and all(_agrees(original, *each, tools.checksums) for each in listed)

    for name, path, _ in alike(names, candidates.listed, source_folder, agree):
        found.paths[name] = candidates.listed[path][0][0].path
    found.nearest = candidates.nearest([name for name in names if name not in found.paths])
    return found


def _originals(
    pid: DatasetPid, names: Sequence[str], tools: Toolbox
) -> tuple[Mapping[str, OriginalFile], bool]:
    """Give the original files of these names, and whether SciCat shows any original files at all."""
    wanted, found, shown = set(names), dict[str, OriginalFile](), False
    for original in tools.catalogue.original_files(pid):
        shown = True
        if original.path in wanted:
            found[original.path] = original
    return found, shown


class _Candidates:
    """Catalogued files that some of the names may mean.

    Attributes:
        listed: Those that are spelled alike, by name, with each datablock's entry and algorithm.
    """

    def __init__(self, names: Sequence[str], source_folder: str | None) -> None:
        self.listed: dict[str, list[tuple[FileEntry, str | None]]] = {}
        self._spelling = Spelling(source_folder, list(Likeness)[-1])
        self._spelled = {self._spelling.of(name) for name in names} - {None}
        self._near = [_Nearest(name, self._spelling) for name in names[: 2 * NAMED]]

    def offer(self, file: FileEntry, algorithm: str | None) -> None:
        spelled = self._spelling.of(file.path)
        if spelled in self._spelled:
            self.listed.setdefault(entry_name(file.path), []).append((file, algorithm))
        for near in self._near:
            near.offer(file.path, spelled)

    def nearest(self, names: Sequence[str]) -> list[str]:
        paths = [near.path for near in self._near if near.name in names[:NAMED] and near.path]
        return list(dict.fromkeys(paths))


class _Nearest:
    """The path that is nearest to a name."""

    def __init__(self, name: str, spelling: Spelling) -> None:
        self.name, self.path = name, ""
        self._end, self._spelled = _end(name), spelling.of(name)
        self._score, self._left = _NEAR, COMPARED
        self._matcher = SequenceMatcher(b=name[:_LONGEST], autojunk=False)

    def offer(self, path: str, spelled: str | None) -> None:
        score = self._score_of(path, spelled)
        if score > self._score:
            self.path, self._score = path, score

    def _score_of(self, path: str, spelled: str | None) -> float:
        if spelled is not None and spelled == self._spelled:
            return _ALIKE
        if _end(path) == self._end:
            return _SAME_END
        if self._left == 0 or self._score >= _SAME_END:
            return 0.0
        self._left -= 1
        self._matcher.set_seq1(path[:_LONGEST])
        may_be = self._matcher.real_quick_ratio() > self._score and self._matcher.quick_ratio() > self._score
        return self._matcher.ratio() if may_be else 0.0


def _end(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _agrees(original: OriginalFile, entry: FileEntry, algorithm: str | None, policy: ChecksumPolicy) -> bool:
    if original.size != entry.size:
        return False
    one, other = (
        _digest(original.digest, original.algorithm, policy),
        _digest(entry.digest, algorithm, policy),
    )
    comparable = one is not None and other is not None and one.algorithm is other.algorithm
    return not comparable or one == other


def _digest(catalogued: str | None, algorithm: str | None, policy: ChecksumPolicy) -> Digest | None:
    try:
        return None if catalogued is None else Digest.read(catalogued, policy.named(algorithm, ""))
    except ChecksumUnknown:
        return None
