"""The ledger's tables. A change here needs a migration; a test holds the two equal.

    jobs 1--1 job_selections, 1--n job_datasets, 1--0..1 places (its row of the line; here `space_queue`)
    job_datasets 1--n chosen_datablocks (where the job chose files)
    datablocks 1--n file_lists, 1--0..1 copies, 1--0..1 recalls, 1--0..1 wanted_checks
    recall_leads, by store
    claims, pins and remarks, by pid; space, sums over datablocks and claims in one row
    reports, findings, transitions
    identity and marked_areas: whose staging areas and engines are

Large values (dataset lists, file lists, manifests) have tables of their own: listing reads none of them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from scicat_retriever.ledger.database.columns import ExactText, Failures, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, doc="Order of arrival, which no clock can disturb."),
    Column("id", ExactText, nullable=False, unique=True),
    Column("type", ExactText, nullable=False),
    Column("owner_user", ExactText),
    Column("owner_group", ExactText),
    Column("flow_uuid", ExactText, nullable=False),
    Column("flow_name", ExactText, nullable=False),
    Column("flow_started_at", UtcTime, doc="When the engine took the flow; none until then."),
    Column("state", ExactText, nullable=False),
    Column("message", ExactText, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("failure", Failures, nullable=False, doc="Why it failed as a whole: at most one."),
    Column("attempt", Integer, nullable=False, doc="Counts its flows, from 1."),
    Column("cancelled_by", ExactText, nullable=False, doc="Who wants it cancelled; empty where nobody does."),
    Column("cancel_told_at", UtcTime, doc="When its flow was told so; none until then."),
    Column("space_granted_at", UtcTime, doc="When this attempt got its space; none until then."),
    Column("priority", Integer, nullable=False, doc="Larger goes first to tape; 0 is ordinary."),
    Index(None, "flow_started_at", "number"),
    Index(None, "state", "number"),
)

space_queue = Table(
    "places",
    metadata,
    Column("job_id", ExactText, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("wanted_at", UtcTime, nullable=False, doc="When it first asked in vain: its place in the line."),
    Column("needed", BigInteger, doc="Bytes that it lacked when it last asked; none where it does not wait."),
    Column("overtaken", BigInteger, nullable=False, doc="Bytes of those that went ahead of it."),
    Column("asked_at", UtcTime, doc="When it last asked in vain."),
    Index(None, "needed", "wanted_at"),
)

job_selections = Table(
    "job_selections",
    metadata,
    Column("job_id", ExactText, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("selections", LargeBinary, nullable=False, doc="The dataset list as it came: `packing.pack`."),
)

job_datasets = Table(
    "job_datasets",
    metadata,
    Column("job_id", ExactText, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("pid", ExactText, nullable=False),
    Column("state", ExactText, nullable=False),
    Column("failures", Failures, nullable=False),
    Column("reason", ExactText, nullable=False, doc="What it waits for, in words."),
    Column("bytes", BigInteger, doc="Its size as the catalogue declares it; none until that is noted."),
    Column("chosen", Boolean, nullable=False, doc="Whether the job chose files of it."),
    Column(
        "unknown", Failures, nullable=False, doc="Chosen files that it does not have: at most one failure."
    ),
    UniqueConstraint("job_id", "pid"),
    Index(None, "pid", "job_id"),
)

chosen_datablocks = Table(
    "chosen_datablocks",
    metadata,
    Column("job_id", ExactText, primary_key=True),
    Column("pid", ExactText, primary_key=True),
    Column("datablock", ExactText, primary_key=True, doc="One that holds a file that the job chose."),
    Column(
        "respelled",
        ExactText,
        nullable=False,
        doc="Catalogued paths of chosen names that are spelled otherwise: `packing.pack_respelled`; empty: none.",
    ),
    ForeignKeyConstraint(["job_id", "pid"], ["job_datasets.job_id", "job_datasets.pid"], ondelete="CASCADE"),
)

remarks = Table(
    "remarks",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("remark", ExactText, nullable=False, doc="What those who get the dataset should know of it."),
)

datablocks = Table(
    "datablocks",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("id", ExactText, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("listed", Boolean, nullable=False, doc="Whether the catalogue still lists it."),
    Column("archive_id", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("packed_size", BigInteger, nullable=False),
    Column("algorithm", ExactText),
    Column("file_count", BigInteger, nullable=False),
    Column("fingerprint", ExactText, nullable=False, doc="Digest of all that the catalogue says of it."),
    Column("state", ExactText, nullable=False),
    Column("reason", ExactText, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("bytes_total", BigInteger, nullable=False),
    Column("integrity", ExactText),
    Column(
        "matched_by",
        ExactText,
        nullable=False,
        doc="While staged, its files whose names are spelled otherwise in the archive: `packing.pack_matched`; else empty.",
    ),
    Column("oddities", ExactText, nullable=False, doc="While staged: `packing.pack_oddities`; else empty."),
    Column("archive_checksum", ExactText),
    Column("staged_at", UtcTime, doc="This and the next two: while staged."),
    Column("used_at", UtcTime),
    Column("checked_at", UtcTime),
    Column("pinned", Boolean, nullable=False, doc="Staged, and `pins` has its dataset."),
    Column(
        "held_bytes",
        BigInteger,
        nullable=False,
        doc="What its files take, while staged or left behind by a released one; else 0.",
    ),
    Column(
        "partial",
        ExactText,
        nullable=False,
        doc="Token of its file, while copied, staged, or left behind; else empty.",
    ),
    Column(
        "unpacked",
        Boolean,
        nullable=False,
        doc="Copied or staged, and its file is the tar of an archive that is compressed.",
    ),
    Column("files_left", Boolean, nullable=False, doc="Released, and its files not known to be gone."),
    Column("run", ExactText, nullable=False),
    Column("store", ExactText, nullable=False, doc="The store that it is read from now."),
    Column("wanted", Boolean, nullable=False, doc="Whether its run retrieves it: some job needs it."),
    Column(
        "extract",
        ExactText,
        nullable=False,
        doc="Which part of which datablock's archive it is: `packing.pack_extract`; empty: SciCat lists it.",
    ),
    Index(None, "pid", "listed", "position"),
    Index(None, "files_left", "pid", "id"),
    Index(None, "state", "pid", "id"),
    Index(None, "partial"),
    Index(None, "checked_at", "pid", "id"),
    # This one and the next are in the order of eviction, so that the first datablock is found without
    # sorting.
    Index("ix_datablocks_by_use", "state", "pinned", "used_at", "pid", "id"),
)
Index(
    "ix_datablocks_by_size",
    datablocks.c.state,
    datablocks.c.pinned,
    datablocks.c.bytes_total.desc(),
    datablocks.c.used_at,
    datablocks.c.pid,
    datablocks.c.id,
)

file_lists = Table(
    "file_lists",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("datablock", ExactText, primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("entries", LargeBinary, nullable=False, doc="Some of its files: `packing.pack`."),
    ForeignKeyConstraint(["pid", "datablock"], ["datablocks.pid", "datablocks.id"], ondelete="CASCADE"),
)

copies = Table(
    "copies",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("datablock", ExactText, primary_key=True),
    Column("archive_id", ExactText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("bytes_copied", BigInteger, nullable=False),
    Column("archive_checksum", ExactText, nullable=False),
    Column("manifest_seal", ExactText, nullable=False),
    Column("members", BigInteger, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("receipt", ExactText, nullable=False, doc="What the staging area says it holds of it."),
    ForeignKeyConstraint(["pid", "datablock"], ["datablocks.pid", "datablocks.id"], ondelete="CASCADE"),
)

wanted_checks = Table(
    "wanted_checks",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pid", ExactText, nullable=False),
    Column(
        "datablock", ExactText, nullable=False, doc="One that is read again before others, in their order."
    ),
    UniqueConstraint("pid", "datablock"),
    ForeignKeyConstraint(["pid", "datablock"], ["datablocks.pid", "datablocks.id"], ondelete="CASCADE"),
)

recalls = Table(
    "recalls",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("datablock", ExactText, primary_key=True),
    Column("store", ExactText, nullable=False),
    Column("archive_id", ExactText, nullable=False),
    Column("place", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("run", ExactText, nullable=False),
    Column("owner_group", ExactText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("wanted_at", UtcTime, nullable=False),
    Column("phase", ExactText, nullable=False),
    Column("tape", ExactText, doc="None: the store was not asked; empty: it does not know."),
    Column("position", BigInteger, nullable=False),
    Column("request", ExactText, nullable=False, doc="How the store calls the request for it."),
    Column("asked_at", UtcTime),
    Column(
        "first_asked_at", UtcTime, doc="For this run; kept when the recall failed and is asked for again."
    ),
    Column("online_at", UtcTime),
    Column("expected_at", UtcTime),
    Column("missing_since", UtcTime),
    Column("reason", ExactText, nullable=False),
    ForeignKeyConstraint(["pid", "datablock"], ["datablocks.pid", "datablocks.id"], ondelete="CASCADE"),
    Index(None, "store", "wanted_at"),
)

recall_leads = Table(
    "recall_leads",
    metadata,
    Column("store", ExactText, primary_key=True),
    Column("holder", ExactText, nullable=False, doc="Whose planner it is."),
    Column("until", UtcTime, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("bytes", BigInteger, nullable=False, doc="What of the dataset is on its way and not staged."),
    Column("more", BigInteger, doc="Bytes more that it waits for; none where it does not wait."),
    Column("overtaken", BigInteger, nullable=False, default=0, doc="Bytes of those that went ahead since."),
    Column("asked_at", UtcTime, doc="When its run last asked for more in vain."),
    Index(None, "more"),
)

pins = Table(
    "pins",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pid", ExactText, nullable=False),
    Column("owner", ExactText, nullable=False),
    Column("by_job", Boolean, nullable=False, doc="Whether the owner is a job."),
    Column("owner_group", ExactText, doc="Of the job, for its quota."),
    Column("bytes", BigInteger, nullable=False, doc="The dataset's size, for the quota."),
    Column("until", UtcTime, doc="None: not before its job ends."),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("owner", "by_job", "pid"),
    Index(None, "pid"),
    Index(None, "owner_group", "pid", "bytes"),
    # Pages are asked for by the last number seen: one that was used once must not be used again.
    sqlite_autoincrement=True,
)

space = Table(
    "space",
    metadata,
    Column("staged", BigInteger, nullable=False, doc="Sum of `datablocks.held_bytes`."),
    Column("claimed", BigInteger, nullable=False, doc="Sum of `claims.bytes`."),
)

reports = Table(
    "reports",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", ExactText, nullable=False, doc="`job` or `dataset`."),
    Column("name", ExactText, nullable=False, doc="The job's id, or the dataset's pid."),
    Column("told", ExactText, nullable=False, doc="A job's state, or a dataset's lifecycle as JSON."),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failure", Failures, nullable=False, doc="Of the last attempt: at most one."),
    Column("parked", Boolean, nullable=False),
    Column("undeliverable", Boolean, nullable=False, doc="Parked, since what it is about was deleted."),
    Column("dropped", ExactText, nullable=False, doc="Parked, and who gave it up and why; else empty."),
    Column("teller", ExactText, nullable=False, doc="Who is telling it; empty where nobody is."),
    Column("claimed_until", UtcTime),
    Index(None, "kind", "name", "number"),
    Index(None, "parked", "due_at"),
    # A number that was used once must not be used again, or a late word on a told report would hit another
    # one.
    sqlite_autoincrement=True,
)

titles = Table(
    "titles",
    metadata,
    Column("pid", ExactText, primary_key=True),
    Column("name", ExactText, nullable=False),
    Column("source_folder", ExactText),
)

revoked_links = Table(
    "revoked_links",
    metadata,
    Column("job_id", ExactText, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("times", Integer, nullable=False, doc="How often the job's links were revoked."),
    Column("at", UtcTime, nullable=False, doc="The last time."),
)

downloads = Table(
    "downloads",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", ExactText, nullable=False, unique=True),
    Column("job_id", ExactText, doc="The job of the retrieval; none for a link to one datablock."),
    Column("who", ExactText, nullable=False, doc="The id of the link, or the person's name."),
    Column("what", ExactText, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("began", UtcTime, nullable=False),
    Column("seen", UtcTime, nullable=False, doc="When it was last known to run, or ended."),
    Column("sent", BigInteger, doc="None where the bytes come from elsewhere."),
    Column("end", ExactText, nullable=False),
    Index(None, "job_id", "number"),
    Index(None, "began"),
    # Pages are asked for by the last number seen: one that was used once must not be used again.
    sqlite_autoincrement=True,
)

identity = Table(
    "identity",
    metadata,
    Column(
        "id", ExactText, primary_key=True, doc="A UUID: whose staging areas and engines these are. One row."
    ),
)

marked_areas = Table(
    "marked_areas",
    metadata,
    Column("place", ExactText, primary_key=True, doc="A staging area that was marked as this ledger's."),
    Column("at", UtcTime, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("name", ExactText, primary_key=True, doc="Which regular look."),
    Column("at", UtcTime, nullable=False),
    Column("found", ExactText, nullable=False, doc="What it found last: a JSON object."),
)

transitions = Table(
    "transitions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column(
        "kind",
        ExactText,
        nullable=False,
        doc="`job`, `dataset` (of a job), `datablock`, or `report` (of a job or a dataset).",
    ),
    Column("job_id", ExactText),
    Column("pid", ExactText),
    Column("datablock", ExactText),
    Column("old", ExactText, nullable=False, doc="Empty for the first state."),
    Column("new", ExactText, nullable=False),
    Column("reason", ExactText, nullable=False),
)
