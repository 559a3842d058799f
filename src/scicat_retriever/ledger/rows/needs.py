"""What jobs need of datasets, as conditions on rows of `job_datasets`, and what is wanted for it.

A job that chose files needs the datablocks, or extracts, that hold them. Any other job needs all datablocks
that SciCat lists.
"""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    false,
    not_,
    or_,
    select,
    true,
    update,
)

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.schema import chosen_datablocks, datablocks, job_datasets, jobs
from scicat_retriever.ledger.rows.claims import asks_for

_CHOSEN = chosen_datablocks.c
_BLOCK = datablocks.c


def needs() -> ColumnElement[bool]:
    """The condition that a row of `datablocks` is needed by one of `job_datasets`."""
    holds_file = exists().where(
        _CHOSEN.job_id == job_datasets.c.job_id,
        _CHOSEN.pid == _BLOCK.pid,
        _CHOSEN.datablock == _BLOCK.id,
    )
    chosen = holds_file.correlate(job_datasets, datablocks)
    whole = and_(~job_datasets.c.chosen, _BLOCK.extract == "")
    return and_(_BLOCK.pid == job_datasets.c.pid, _BLOCK.listed, or_(whole, chosen))


def lacks_needed() -> ColumnElement[bool]:
    """The condition that a datablock that a row of `job_datasets` needs is not staged, or not listed."""
    unstaged = exists().where(needs(), _BLOCK.state != DatablockState.STAGED)
    listed = exists().where(_BLOCK.pid == _CHOSEN.pid, _BLOCK.id == _CHOSEN.datablock, _BLOCK.listed)
    unlisted = exists().where(
        _CHOSEN.job_id == job_datasets.c.job_id,
        _CHOSEN.pid == job_datasets.c.pid,
        ~listed.correlate(chosen_datablocks),
    )
    return or_(unstaged.correlate(job_datasets), unlisted.correlate(job_datasets))


def is_brought() -> ColumnElement[bool]:
    """The condition that a row of `job_datasets` needs a datablock at least, and all it needs are staged."""
    return and_(exists().where(needs()).correlate(job_datasets), ~lacks_needed())


def set_wanted(connection: Connection, pid: DatasetPid) -> bool:
    """Set `wanted` of a dataset's datablocks to what the jobs that ask for the dataset need.

    Where no job asks for it, all datablocks are wanted. The dataset must be locked.

    Returns:
        Whether a job asks for the dataset.
    """
    askers = connection.execute(_ASKERS, {"of": pid}).all()
    # An extract that no run has planned yet is left to the next one.
    needed = and_(_BLOCK.id.in_(_needed_ids()), or_(_BLOCK.extract == "", _BLOCK.run != ""))
    if not askers or any(not row.chosen for row in askers):
        needed = or_(_BLOCK.extract == "", needed)
    connection.execute(_WANT.where(_OF_DATASET, needed), {"of": pid})
    connection.execute(_DROP.where(_OF_DATASET, not_(needed)), {"of": pid})
    return bool(askers)


_OF_DATASET = and_(_BLOCK.pid == bindparam("of"), _BLOCK.listed)
_WANT = update(datablocks).where(~_BLOCK.wanted).values(wanted=true())
_DROP = update(datablocks).where(_BLOCK.wanted).values(wanted=false())
_ASKERS = (
    select(job_datasets.c.job_id, job_datasets.c.chosen)
    .select_from(job_datasets, jobs)
    .where(asks_for(bindparam("of")))
)


def _needed_ids() -> Select[tuple[str]]:
    asking = select(job_datasets.c.job_id).select_from(job_datasets, jobs).where(asks_for(bindparam("of")))
    return select(_CHOSEN.datablock).where(_CHOSEN.pid == bindparam("of"), _CHOSEN.job_id.in_(asking))


def is_asked_for() -> ColumnElement[bool]:
    """The condition that a row of `datablocks` is needed by a job that asks for the dataset.

    The dataset is the statement's parameter `of`.
    """
    whole = exists(_ASKERS.where(~job_datasets.c.chosen).with_only_columns(job_datasets.c.job_id))
    return or_(_BLOCK.id.in_(_needed_ids()), and_(_BLOCK.extract == "", whole))


def brings_its_own(job_id: BindParameter[str]) -> Select[tuple[str]]:
    """Select a job's datasets of which it chose a datablock or extract that no asking job brings.

    Jobs that ask are those that ask for the same dataset.
    """
    other = chosen_datablocks.alias()
    its = and_(other.c.pid == _CHOSEN.pid, other.c.datablock == _CHOSEN.datablock)
    by_choice = exists().where(its, other.c.job_id == job_datasets.c.job_id, asks_for(_CHOSEN.pid))
    by_whole = exists().where(~job_datasets.c.chosen, asks_for(_CHOSEN.pid))
    is_extract = exists().where(
        _BLOCK.pid == _CHOSEN.pid, _BLOCK.id == _CHOSEN.datablock, _BLOCK.extract != ""
    )
    comes = or_(by_choice, and_(by_whole, ~is_extract))
    return select(_CHOSEN.pid).distinct().where(_CHOSEN.job_id == job_id, ~comes)
