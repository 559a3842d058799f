"""How what a job needs was compared and hashed, as its page says which lists of checksums there are."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.manifest import ManifestWriter, SealedManifest
from scicat_retriever.onepass.pieces import Pieces
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import P, Q, bring_to, copied, staged
from tests.contracts.ledger.space_samples import A, B, plan, wish

SHA256, BOTH = "sha256", "md5+sha256"


def made(names: str, size: int = 0) -> SealedManifest:
    return ManifestWriter(Hashing.parse(names)).seal(pieces=Pieces(size, {}))


def bring(ledger: Ledger, of: DatablockKey, names: str, integrity: Integrity = Integrity.VERIFIED) -> None:
    manifest = made(names)
    bring_to(ledger, of, DatablockState.COPYING)
    copy = copied(of, seal=manifest.seal)
    ledger.copies.save(copy, manifest.blob)
    ledger.copies.save_staged(staged(copy, integrity))


def test_each_way_is_told_once_of_each_dataset_that_the_job_asked_for(ledger: Ledger) -> None:
    wish(ledger, A, {P: 400, Q: 400})
    wish(ledger, B, {Q: 400})
    blocks = [*plan(ledger, P, 100, 100, 100, 100), *plan(ledger, Q, 100)]
    bring(ledger, blocks[0], SHA256)
    bring(ledger, blocks[1], SHA256)
    bring(ledger, blocks[2], BOTH, Integrity.SIZE_ONLY)
    bring_to(ledger, blocks[3], DatablockState.COPYING)
    bring(ledger, blocks[4], BOTH)
    of_p = {(Integrity.VERIFIED, SHA256), (Integrity.SIZE_ONLY, BOTH)}
    of_q = {(Integrity.VERIFIED, BOTH)}
    assert {pid: set(each) for pid, each in ledger.needs.hashed(A).items()} == {P: of_p, Q: of_q}
    assert {pid: set(each) for pid, each in ledger.needs.hashed(B).items()} == {Q: of_q}


def test_what_is_not_staged_any_more_is_left_out(ledger: Ledger) -> None:
    wish(ledger, A, {P: 100})
    (block,) = plan(ledger, P, 100)
    bring(ledger, block, SHA256)
    ledger.datablocks.move(block, DatablockState.PLANNED, "its file is gone")
    assert ledger.needs.hashed(A) == {}


def test_a_manifest_that_was_made_anew_counts_as_it_is_now(ledger: Ledger) -> None:
    wish(ledger, A, {P: 100})
    (block,) = plan(ledger, P, 100)
    bring(ledger, block, SHA256)
    assert ledger.copies.renew_manifest(block, made(SHA256).seal, made(BOTH))
    assert {pid: set(each) for pid, each in ledger.needs.hashed(A).items()} == {
        P: {(Integrity.VERIFIED, BOTH)}
    }


@pytest.mark.parametrize("names", ["sha256", "+".join(ChecksumAlgorithm)])
def test_the_beginning_of_a_manifest_is_enough_for_any_algorithms(ledger: Ledger, names: str) -> None:
    wish(ledger, A, {P: 100})
    (block,) = plan(ledger, P, 100)
    bring(ledger, block, names)
    ((_, told),) = ledger.needs.hashed(A)[P]
    assert told == names
