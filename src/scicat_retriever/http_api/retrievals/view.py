"""What the page of a retrieval shows; as JSON, the contract for clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from scicat_retriever.domain.errors import JobNotFound, LinkReleased
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.http_api.retrievals.folders import Folder
from scicat_retriever.http_api.retrievals.list_links import ChecksumList, ListLinks
from scicat_retriever.http_api.service import Service
from scicat_retriever.http_api.status import DatasetStatus, ErrorStatus, job_status
from scicat_retriever.pipeline.delivery.contents import Needed, needed_of
from scicat_retriever.pipeline.delivery.names import download_names, folder_names, may_be_alike
from scicat_retriever.pipeline.delivery.remarks import remarks_on
from scicat_retriever.pipeline.jobs.selection import ChosenNames
from scicat_retriever.ports.datablock_record import DatablockRecord

PAGE = 200
"""The most datasets, and the most datablocks of a dataset, that are given at once."""


class Availability(StrEnum):
    """What there is of a dataset.

    WAITING: its retrieval has not begun.
    RETRIEVING: it is on its way.
    READY: all that was asked for is there, compared with the catalogue.
    FAILED: it could not be retrieved.
    GONE: it was there, and is not kept any more.
    """

    WAITING = "waiting"
    RETRIEVING = "retrieving"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"


class SpelledOtherwise(BaseModel):
    """Files whose names in the archive are spelled otherwise than in SciCat; their contents were compared."""

    spelling: str = Field(description="In what they differ.")
    files: int = Field(description="How many they are.")
    examples: list[dict[str, str]] = Field(
        description="Two of them at most: `catalogued` and `archived`, 100 characters of each."
    )


class RetrievedDatablock(BaseModel):
    """A datablock of a dataset that is ready: an archive, as it is stored."""

    name: str = Field(description="What the file is called: no two of a job are called alike.")
    archive_id: str = Field(serialization_alias="archiveId", description="What SciCat calls it.")
    size: int = Field(description="Bytes.")
    checksum: str | None = Field(description="Of the whole file: `<algorithm>:<hexadecimal digits>`.")
    url: str = Field(description="Where it is downloaded; no token is needed.")
    expires: datetime = Field(description="Until when that link is good (UTC).")
    files: int = Field(description="How many files the catalogue lists in it.")
    integrity: Integrity | None = Field(
        description="Whether every file was compared with its catalogued checksum, or some by size alone."
    )
    matched_by: list[SpelledOtherwise] = Field(
        [], serialization_alias="matchedBy", description="Files spelled otherwise, by kind; empty as a rule."
    )
    passed_over: int = Field(
        0,
        serialization_alias="passedOver",
        description="Members that SciCat does not list, and that an operator has passed over.",
    )
    replaced: int = Field(
        0, description="Members that later ones of the same path replace, when it is unpacked."
    )
    tars: int = Field(
        1,
        description="How many tars follow on each other in it; unpack more than one with `tar --ignore-zeros`.",
    )
    chosen: list[str] | None = Field(
        None,
        description="Which of the chosen files it holds, as catalogued; null where none were chosen, and behind the first "
        "200,000 catalogued files, or 1 MiB of names, of one answer.",
    )
    asked_as: dict[str, str] = Field(
        {},
        serialization_alias="askedAs",
        description="Those of `chosen` that the job spells otherwise, each with that spelling.",
    )


class RetrievedDataset(BaseModel):
    """A dataset of the retrieval."""

    number: int = Field(description="Its place in the job, from 1.")
    pid: str
    name: str = Field(description="What SciCat calls it, as a name that every file system takes.")
    state: Availability
    reason: str | None = Field(description="What it waits for, in words.")
    bytes_done: int = Field(serialization_alias="bytesDone")
    bytes_total: int = Field(serialization_alias="bytesTotal", description="0 as long as that is not known.")
    chosen: bool = Field(
        description="Whether files of it were chosen, and only what holds them is retrieved."
    )
    expires: datetime | None = Field(description="Until when it can be downloaded (UTC).")
    errors: list[ErrorStatus]
    integrity: Integrity | None = Field(
        None,
        description="On its own page, once it is ready: whether every file was compared with its catalogued checksum, or by "
        "size alone, for want of checksums.",
    )
    remark: str | None = Field(
        None,
        description="What to know of it although it is ready: SciCat declares other sums than its datablocks have.",
    )
    url: str = Field(description="Its own page, or JSON.")
    zip: str | None = Field(description="All of it as a zip, once it is ready.")
    tar: str | None = Field(description="The same as a tar.")
    manifest: str | None = Field(description="`manifest.json`: all its files, once it is ready.")
    manifest_signature: str | None = Field(
        serialization_alias="manifestSignature",
        description="Its signature (minisign); null where the service has no key.",
    )
    checksums: list[ChecksumList] = Field(description="Lists of checksums of its files, once it is ready.")
    datablocks: list[RetrievedDatablock] | None = Field(
        None, description="On its own page, once it is ready."
    )
    next: str | None = Field(None, description="Where the datablocks after these are, if there are more.")
    folder: Folder | None = Field(
        None, description="On its own page, once it is ready: the folder asked for."
    )


class Retrieval(BaseModel):
    """A job, as whoever has its link sees it."""

    id: str = Field(description="The id of the job in SciCat.")
    state: JobState
    message: str = Field(description="What it is doing, waits for, or came to, in words.")
    url: str = Field(description="This page, or JSON.")
    zip: str | None = Field(description="All datasets that are ready as a zip; null where none is.")
    tar: str | None = Field(description="The same as a tar.")
    manifest: str | None = Field(description="`manifest.json`: all files of the datasets that are ready.")
    manifest_signature: str | None = Field(
        serialization_alias="manifestSignature",
        description="Its signature (minisign); null where the service has no key.",
    )
    checksums: list[ChecksumList] = Field(description="Lists of checksums of these files.")
    public_key: str | None = Field(
        serialization_alias="publicKey",
        description="What the signatures are checked with; null where the service has no key.",
    )
    ready: int = Field(description="How many datasets are ready.")
    total: int = Field(description="How many datasets there are in all.")
    bytes: int = Field(description="The sum over the datasets that are ready.")
    expires: datetime | None = Field(
        description="The first time at which one of the ready datasets is not kept any more (UTC)."
    )
    datasets: list[RetrievedDataset]
    next: str | None = Field(None, description="Where the datasets after these are, if there are more.")


def retrieval(job_id: JobId, url: str, service: Service, after: int = 0) -> Retrieval:
    """Give a retrieval with its datasets behind number `after`, at most `PAGE` of them.

    Args:
        job_id: The job.
        url: Its link.
        service: The ports and settings.
        after: The number of the last dataset that was given before; 0 for the first ones.

    Raises:
        JobNotFound: The ledger does not know the job.
    """
    status = job_status(job_id, service.ledger, datablocks=False)
    if status is None:
        raise JobNotFound("the ledger has no such job")
    shown = Shown(job_id, url, service)
    of_page = [each for each in enumerate(status.datasets, 1) if each[0] > after][:PAGE]
    states = {each.pid: shown.state(each) for each in status.datasets}
    ready = [each for each in status.datasets if states[each.pid] is Availability.READY]
    last = of_page[-1][0] if of_page else after
    return Retrieval(
        id=job_id,
        state=status.state,
        message=status.message,
        url=url,
        zip=f"{url}/all.zip" if ready else None,
        tar=f"{url}/all.tar" if ready else None,
        **shown.lists.below(url, [DatasetPid(each.pid) for each in ready]),
        public_key=shown.lists.public_key,
        ready=len(ready),
        total=len(status.datasets),
        bytes=sum(each.bytes_total for each in ready),
        expires=min((end for each in ready if (end := shown.expires(each.pid)) is not None), default=None),
        datasets=[shown.dataset(number, each, states[each.pid]) for number, each in of_page],
        next=f"{url}?after={last}" if last < len(status.datasets) else None,
    )


def dataset(job_id: JobId, number: int, url: str, service: Service, after: int = 0) -> RetrievedDataset:
    """Give a dataset of a retrieval, with its datablocks behind number `after`, at most `PAGE` of them.

    Args:
        job_id: The job.
        number: The dataset's place in the job, from 1.
        url: The link of the retrieval.
        service: The ports and settings.
        after: How many datablocks were given before.

    Raises:
        JobNotFound: The ledger does not know the job, or it has no such dataset.
    """
    status = job_status(job_id, service.ledger, datablocks=False)
    if status is None or not 1 <= number <= len(status.datasets):
        raise JobNotFound("this retrieval has no such dataset")
    shown, its = Shown(job_id, url, service), status.datasets[number - 1]
    found = shown.dataset(number, its, shown.state(its))
    if found.state is Availability.READY:
        records = service.ledger.needs.datablocks(job_id, DatasetPid(its.pid))
        is_verified = all(each.integrity is Integrity.VERIFIED for each in records)
        found.integrity = Integrity.VERIFIED if is_verified else Integrity.SIZE_ONLY
        chosen = ChosenNames(job_id, service.ledger)
        names = shown.file_names(DatasetPid(its.pid))
        found.datablocks = [
            shown.datablock(each, names[each.key], chosen) for each in records[after : after + PAGE]
        ]
        if after + PAGE < len(records):
            found.next = f"{found.url}?after={after + PAGE}"
    return found


class Shown:
    """What is shown of the datasets of a job, from one look at the ledger.

    Args:
        job_id: The job.
        url: Its link.
        service: The ports and settings.
    """

    def __init__(self, job_id: JobId, url: str, service: Service) -> None:
        ledger = service.ledger
        self._job_id, self._url, self._service = job_id, url, service
        self.lists = ListLinks(job_id, service)
        self._now = service.clock()
        self._titles, self._remarks = ledger.titles.of(job_id), ledger.remarks.of(job_id)
        self._pids = [each.pid for each in ledger.jobs.datasets(job_id)]
        self._names = folder_names({pid: self._titles.get(pid) for pid in self._pids})
        self._pins = {pin.pid: pin.until for _, pin in ledger.pins.find(owner=job_id) if pin.by_job}

    def expires(self, pid: str) -> datetime | None:
        """Until when a dataset can be downloaded; None where that is not known yet."""
        until = self._pins.get(DatasetPid(pid))
        return None if until is None else until - self._service.margin

    def state(self, its: DatasetStatus) -> Availability:
        """Say what there is of a dataset."""
        if its.state is DatasetState.SUBMITTED:
            return Availability.WAITING
        if its.state is DatasetState.STARTED:
            return Availability.RETRIEVING
        if its.state is DatasetState.FAILED:
            return Availability.FAILED
        end = self.expires(its.pid)
        is_kept = its.pid in self._pins and (end is None or end > self._now)
        is_there = 0 < its.datablocks_total == its.datablocks_staged
        return Availability.READY if is_kept and is_there else Availability.GONE

    def dataset(self, number: int, its: DatasetStatus, state: Availability) -> RetrievedDataset:
        """Give what is shown of a dataset."""
        return RetrievedDataset(
            number=number,
            pid=its.pid,
            name=self._names[DatasetPid(its.pid)],
            state=state,
            reason=its.waiting_for if state in {Availability.WAITING, Availability.RETRIEVING} else None,
            bytes_done=its.bytes_done,
            bytes_total=its.bytes_total,
            chosen=its.chosen,
            expires=self.expires(its.pid) if state is Availability.READY else None,
            errors=its.errors,
            remark=self._remarks.get(DatasetPid(its.pid)) if state is Availability.READY else None,
            url=(url := f"{self._url}/datasets/{number}"),
            zip=f"{url}/all.zip" if state is Availability.READY else None,
            tar=f"{url}/all.tar" if state is Availability.READY else None,
            **self.lists.below(url, [DatasetPid(its.pid)] if state is Availability.READY else []),
        )

    def others(self, pids: Sequence[DatasetPid]) -> list[DatasetPid]:
        """Give the job's datasets that are not among `pids`."""
        given = frozenset(pids)
        return [each for each in self._pids if each not in given]

    def ready(self) -> list[DatasetPid]:
        """Give the datasets that are ready, in the job's order.

        Raises:
            LinkReleased: There is none.
        """
        status = job_status(self._job_id, self._service.ledger, datablocks=False)
        datasets = [] if status is None else status.datasets
        found = [DatasetPid(each.pid) for each in datasets if self.state(each) is Availability.READY]
        if not found:
            raise LinkReleased("nothing of this retrieval can be downloaded now: its page says why")
        return found

    def ready_one(self, number: int) -> list[DatasetPid]:
        """Give the dataset of a number, if it is ready.

        Raises:
            JobNotFound: The job has no such dataset.
            LinkReleased: It is not ready.
        """
        if not 1 <= number <= len(self._pids):
            raise JobNotFound("this retrieval has no such dataset")
        pid = self._pids[number - 1]
        if pid not in self.ready():
            raise LinkReleased("this dataset cannot be downloaded now: the page of the retrieval says why")
        return [pid]

    def name(self, pid: DatasetPid) -> str:
        """Name the folder of a dataset."""
        return self._names[pid]

    def needed(self, pids: Sequence[DatasetPid]) -> list[Needed]:
        """Give the datablocks that the job needs of some datasets. Errors as of `contents.needed_of`."""
        folders = {pid: title.source_folder for pid, title in self._titles.items()}
        return needed_of(
            {pid: self._names[pid] for pid in pids},
            {pid: folders.get(pid) for pid in pids},
            lambda pid: self._service.ledger.needs.datablocks(self._job_id, pid),
        )

    def archive_name(self, pids: Sequence[DatasetPid], *, whole: bool) -> str:
        """Name an archive of some datasets, without its ending.

        Args:
            pids: The datasets in it.
            whole: Whether all of the job's datasets are meant to be in it.
        """
        if len(pids) == 1 and (not whole or len(self._pids) == 1):
            return self._names[pids[0]]
        count = f"{len(pids)}-of-" if len(pids) < len(self._pids) else ""
        return f"retrieval-{self._job_id[:8]}-{count}{len(self._pids)}-datasets"

    def datablock(self, record: DatablockRecord, name: str, chosen: ChosenNames) -> RetrievedDatablock:
        """Give a datablock with a link of its own, and with what there is to know of it."""
        service, key = self._service, record.key
        until = self.expires(key.pid) or self._now + service.lifetime
        link = service.links.link(key, name, until)
        return RetrievedDatablock(
            name=name,
            archive_id=record.datablock.archive_id,
            size=record.bytes_total,
            checksum=record.archive_checksum,
            url=link.url,
            expires=link.expires,
            files=record.datablock.file_count,
            integrity=record.integrity,
            **remarks_on(record, chosen.held_by(record)),
        )

    def file_names(self, of: DatasetPid) -> Mapping[DatablockKey, str]:
        """Name the files of a dataset's datablocks, and perhaps of others."""
        needs = self._service.ledger.needs
        pids = may_be_alike(of, self._pids)
        records = (record for pid in pids for record in needs.datablocks(self._job_id, pid))
        return download_names((each.key, each.file_name) for each in records)
