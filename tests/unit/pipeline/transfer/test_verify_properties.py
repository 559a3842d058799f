"""Whatever the files are: the copy of them is verified, and no copy that differs from them ever is."""

import ast
import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import IntegrityError, MemberUnsafe
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.onepass.member import Member
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer.verify import entry_name
from tests.unit.pipeline.transfer.archive_samples import entry, file, symlink, verify

NAMES = (
    st.lists(st.text("ab.é ", min_size=1, max_size=3), min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda name: entry_name(name) == name and ".." not in name.split("/"))
)
ANY_SETS = st.dictionaries(NAMES, st.binary(max_size=4), min_size=1, max_size=6)
POLICIES = st.sampled_from([ChecksumPolicy(), ChecksumPolicy("size_only")])
Files = dict[str, bytes]


def can_be_unpacked(names: Collection[str]) -> bool:
    return not any(lower.startswith(f"{upper}/") for upper in names for lower in names)


FILE_SETS = ANY_SETS.filter(can_be_unpacked)


def flip_a_byte(files: Files, name: str, draw: Callable[[int], int]) -> list[Member]:
    content = bytearray(files[name] or b"\0")
    content[draw(len(content))] ^= 1 << draw(8)
    return [file(each, bytes(content) if each == name else files[each]) for each in files]


def drop(files: Files, name: str, _: Callable[[int], int]) -> list[Member]:
    return [file(each, content) for each, content in files.items() if each != name]


def add(files: Files, name: str, draw: Callable[[int], int]) -> list[Member]:
    members = [file(each, content) for each, content in files.items()]
    members.insert(draw(len(members) + 1), file(name + "x"))
    return members


def duplicate(files: Files, name: str, draw: Callable[[int], int]) -> list[Member]:
    members = [file(each, content) for each, content in files.items()]
    members.insert(draw(len(members) + 1), file(name, files[name]))
    return members


def rename(files: Files, name: str, _: Callable[[int], int]) -> list[Member]:
    return [file(each + "x" if each == name else each, content) for each, content in files.items()]


def resize(files: Files, name: str, draw: Callable[[int], int]) -> list[Member]:
    longer = files[name] + bytes(1 + draw(3))
    return [file(each, longer if each == name else files[each]) for each in files]


def lie_about_the_size(files: Files, name: str, draw: Callable[[int], int]) -> list[Member]:
    members = [file(each, content) for each, content in files.items()]
    return [m._replace(size=m.size + 1 + draw(3)) if m.name == name else m for m in members]


MUTATIONS = [flip_a_byte, drop, add, duplicate, rename, resize, lie_about_the_size]


@given(FILE_SETS, POLICIES, st.randoms(use_true_random=False))
def test_a_faithful_copy_is_verified_in_any_order(
    files: Files, policy: ChecksumPolicy, random: Random
) -> None:
    members = [file(name, content) for name, content in files.items()]
    random.shuffle(members)
    verified = verify(members, [entry(f"./{name}", content) for name, content in files.items()], policy)
    assert (verified.integrity, verified.files) == (Integrity.VERIFIED, len(files))


@given(ANY_SETS)
def test_an_archive_is_refused_exactly_if_one_file_lies_below_another(files: Files) -> None:
    members = [file(name, content) for name, content in files.items()]
    listed = [entry(name, content) for name, content in files.items()]
    if can_be_unpacked(files):
        assert verify(members, listed).files == len(files)
    else:
        with pytest.raises(MemberUnsafe):
            verify(members, listed)


@given(FILE_SETS, NAMES, st.randoms(use_true_random=False))
def test_an_archive_is_refused_exactly_if_a_file_lies_below_a_symlink(
    files: Files, link: str, random: Random
) -> None:
    assume(not any(f"{link}/".startswith(f"{name}/") for name in files))
    members = [symlink(link), *(file(name, content) for name, content in files.items())]
    random.shuffle(members)
    listed = [entry(name, content) for name, content in files.items()]
    if can_be_unpacked([*files, link]):
        assert verify(members, listed).files == len(files)
    else:
        with pytest.raises(MemberUnsafe):
            verify(members, listed)


@pytest.mark.parametrize("mutate", MUTATIONS)
@given(files=FILE_SETS, policy=POLICIES, data=st.data())
def test_a_copy_that_differs_in_one_thing_is_never_verified(
    mutate: Callable[[Files, str, Callable[[int], int]], list[Member]],
    files: Files,
    policy: ChecksumPolicy,
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    members = mutate(files, name, lambda below: data.draw(st.integers(0, below - 1)))
    with pytest.raises(IntegrityError):
        verify(members, [entry(each, content) for each, content in files.items()], policy)


def _makers_of(class_name: str) -> set[str]:
    """The modules of the package whose code calls `class_name`, whatever they import it as a part of."""
    spec = importlib.util.find_spec("scicat_retriever")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    makers = set()
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {class_name} | {
            alias.asname
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name == class_name and alias.asname
        }
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if name in names:
                makers.add(path.relative_to(root).as_posix())
    return makers


def test_only_the_verification_makes_a_verified() -> None:
    assert _makers_of("Verified") == {"pipeline/transfer/verify.py"}


def test_only_the_publication_makes_a_staged() -> None:
    assert _makers_of("Staged") == {"pipeline/transfer/publish.py"}
