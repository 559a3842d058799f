BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('r0005');
CREATE TABLE chosen_datablocks (
	job_id TEXT NOT NULL, 
	pid TEXT NOT NULL, 
	datablock TEXT NOT NULL, respelled TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_chosen_datablocks PRIMARY KEY (job_id, pid, datablock), 
	CONSTRAINT fk_chosen_datablocks_job_datasets FOREIGN KEY(job_id, pid) REFERENCES job_datasets (job_id, pid) ON DELETE CASCADE
);
INSERT INTO "chosen_datablocks" VALUES('chosen','20.500.12345/s','block-0~0123456789abcdef','');
CREATE TABLE claims (
	pid TEXT NOT NULL, 
	bytes BIGINT NOT NULL, more BIGINT, overtaken BIGINT DEFAULT '0' NOT NULL, asked_at DATETIME, 
	CONSTRAINT pk_claims PRIMARY KEY (pid)
);
INSERT INTO "claims" VALUES('20.500.12345/p',3000,NULL,0,NULL);
INSERT INTO "claims" VALUES('20.500.12345/r',0,NULL,0,NULL);
CREATE TABLE copies (
	pid TEXT NOT NULL, 
	datablock TEXT NOT NULL, 
	archive_id TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	bytes_copied BIGINT NOT NULL, 
	archive_checksum TEXT NOT NULL, 
	manifest_seal TEXT NOT NULL, 
	members BIGINT NOT NULL, 
	manifest BLOB NOT NULL, receipt TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_copies PRIMARY KEY (pid, datablock), 
	CONSTRAINT fk_copies_datablocks FOREIGN KEY(pid, datablock) REFERENCES datablocks (pid, id) ON DELETE CASCADE
);
INSERT INTO "copies" VALUES('20.500.12345/p','block-0','archive of block-0',1024,1024,'xxh3-128:abababababababababababababababab','seal',2,X'6D616E6966657374206F6620626C6F636B2D30','bytes:1024');
INSERT INTO "copies" VALUES('20.500.12345/q','block-0','archive of block-0',1024,1024,'xxh3-128:abababababababababababababababab','seal',2,X'6D616E6966657374206F6620626C6F636B2D30','bytes:1024');
INSERT INTO "copies" VALUES('20.500.12345/r','block-0','archive of block-0',1024,1024,'xxh3-128:abababababababababababababababab','seal',2,X'6D616E6966657374206F6620626C6F636B2D30','bytes:1024');
INSERT INTO "copies" VALUES('20.500.12345/r','block-1','archive of block-1',1024,1024,'xxh3-128:abababababababababababababababab','seal',2,X'6D616E6966657374206F6620626C6F636B2D31','bytes:1024');
CREATE TABLE "datablocks" (
	pid TEXT NOT NULL, 
	id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	listed BOOLEAN NOT NULL, 
	archive_id TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	packed_size BIGINT NOT NULL, 
	algorithm TEXT, 
	file_count BIGINT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	bytes_done BIGINT NOT NULL, 
	bytes_total BIGINT NOT NULL, 
	integrity TEXT, 
	archive_checksum TEXT, 
	partial TEXT NOT NULL, 
	files_left BOOLEAN NOT NULL, 
	run TEXT NOT NULL, 
	staged_at DATETIME, 
	used_at DATETIME, 
	checked_at DATETIME, 
	pinned BOOLEAN DEFAULT 0 NOT NULL, 
	held_bytes BIGINT DEFAULT '0' NOT NULL, store TEXT DEFAULT 'lts' NOT NULL, wanted BOOLEAN DEFAULT 1 NOT NULL, extract TEXT DEFAULT '' NOT NULL, matched_by TEXT DEFAULT '' NOT NULL, oddities TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_datablocks PRIMARY KEY (pid, id)
);
INSERT INTO "datablocks" VALUES('20.500.12345/p','block-0',0,1,'archive-0.tar',21,1000,'md5',2,'b0ce032dd49f8720b801fd46a7c257e18639b007','staged','',1024,1024,'verified','xxh3-128:abababababababababababababababab','token',0,'run-1','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456',1,1024,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/p','block-1',1,1,'archive-1.tar',21,1000,'md5',2,'9ae3c279ea4cbb965ad4006daeae59ece67c75e3','copying','',300,2000,NULL,NULL,'',0,'run-1',NULL,NULL,NULL,0,0,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/p','block-2',2,1,'archive-2.tar',21,1000,'md5',2,'bfc03b537c579a1392dd89fab45eb254f75a0bec','recalling','ä\u005cu0041 "quoted" 
\u0000 \ud800 \u005c end',0,1000,NULL,NULL,'',0,'run-1',NULL,NULL,NULL,0,0,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/q','block-0',0,1,'archive-0.tar',21,1000,NULL,2,'f6de2435099581f98f3882b2b61f8bb25f7ce1c7','released','',1024,1024,NULL,NULL,'token',1,'run-1',NULL,NULL,NULL,0,1024,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/q','block-1',1,1,'archive-1.tar',21,1000,'md5',2,'9ae3c279ea4cbb965ad4006daeae59ece67c75e3','failed','',0,1000,NULL,NULL,'',0,'run-1',NULL,NULL,NULL,0,0,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/r','block-0',0,1,'archive-0.tar',21,1000,'md5',2,'b0ce032dd49f8720b801fd46a7c257e18639b007','staged','',1024,1024,'verified','xxh3-128:abababababababababababababababab','token',0,'run-1','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456',1,1024,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/r','block-1',1,1,'archive-1.tar',21,1000,'md5',2,'9ae3c279ea4cbb965ad4006daeae59ece67c75e3','staged','',1024,1024,'verified','xxh3-128:abababababababababababababababab','token',0,'run-1','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456',1,1024,'lts',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/s','block-0',0,1,'archive-0.tar',21,1000,'md5',2,'b0ce032dd49f8720b801fd46a7c257e18639b007','recalling','',0,1000,NULL,NULL,'',0,'run-1',NULL,NULL,NULL,0,0,'mirror',1,'','','');
INSERT INTO "datablocks" VALUES('20.500.12345/s','block-0~0123456789abcdef',2147483647,1,'archive-0.tar',10,70,'md5',1,'b0ce032dd49f8720b801fd46a7c257e18639b007','planned','',0,70,NULL,NULL,'',0,'',NULL,NULL,NULL,0,0,'',0,'["block-0", 1000, [[0, 512], [2048, 1536]]]','','');
CREATE TABLE file_lists (
	pid TEXT NOT NULL, 
	datablock TEXT NOT NULL, 
	chunk INTEGER NOT NULL, 
	entries BLOB NOT NULL, 
	CONSTRAINT pk_file_lists PRIMARY KEY (pid, datablock, chunk), 
	CONSTRAINT fk_file_lists_datablocks FOREIGN KEY(pid, datablock) REFERENCES datablocks (pid, id) ON DELETE CASCADE
);
INSERT INTO "file_lists" VALUES('20.500.12345/p','block-0',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/p','block-1',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/p','block-2',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/q','block-0',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/q','block-1',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/r','block-0',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/r','block-1',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/s','block-0',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094627590351A42341A12D468A8141B0B0064D41AAC');
INSERT INTO "file_lists" VALUES('20.500.12345/s','block-0~0123456789abcdef',0,X'785E8B8E562A2ACDD34F2B4ACC4D8D37D0CB3055D23134D05132200094626301BE580D9B');
CREATE TABLE findings (
	name TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	found TEXT NOT NULL, 
	CONSTRAINT pk_findings PRIMARY KEY (name)
);
INSERT INTO "findings" VALUES('catalogue','2026-03-01 15:00:00.123456','{"open": 3, "visibility": "visible"}');
CREATE TABLE identity (
	id TEXT NOT NULL, 
	CONSTRAINT pk_identity PRIMARY KEY (id)
);
INSERT INTO "identity" VALUES('b565cba0-5991-4153-b7fd-0253c876edaa');
CREATE TABLE job_datasets (
	job_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	pid TEXT NOT NULL, 
	state TEXT NOT NULL, 
	failures TEXT NOT NULL, reason TEXT DEFAULT '' NOT NULL, bytes BIGINT, chosen BOOLEAN DEFAULT 0 NOT NULL, unknown TEXT DEFAULT '[]' NOT NULL, 
	CONSTRAINT pk_job_datasets PRIMARY KEY (job_id, position), 
	CONSTRAINT fk_job_datasets_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_job_datasets_job_id_pid UNIQUE (job_id, pid)
);
INSERT INTO "job_datasets" VALUES('kept',0,'20.500.12345/p','failed','[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('kept',1,'20.500.12345/r','retrieved','[]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('6f1c2a50-0000-4000-8000-000000000001',0,'20.500.12345/p','started','[]','waiting for SciCat',3000,0,'[]');
INSERT INTO "job_datasets" VALUES('6f1c2a50-0000-4000-8000-000000000001',1,'20.500.12345/q','failed','[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]','',2000,0,'[]');
INSERT INTO "job_datasets" VALUES('failed',0,'20.500.12345/p','failed','[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('failed',1,'20.500.12345/q','failed','[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('cancelled',0,'20.500.12345/p','submitted','[]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('cancelled',1,'20.500.12345/q','submitted','[]','',NULL,0,'[]');
INSERT INTO "job_datasets" VALUES('chosen',0,'20.500.12345/s','submitted','[]','',70,1,'[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]');
CREATE TABLE job_selections (
	job_id TEXT NOT NULL, 
	selections BLOB NOT NULL, 
	CONSTRAINT pk_job_selections PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_selections_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_selections" VALUES('kept',X'785E8B8E563232D0333530D03334323631D52F50D2898E8DD541132D028BC60200E9830A89');
INSERT INTO "job_selections" VALUES('6f1c2a50-0000-4000-8000-000000000001',X'785E8B8E563232D0333530D03334323631D52F50D2898E8DD541132D048BC60200E97C0A88');
INSERT INTO "job_selections" VALUES('failed',X'785E8B8E563232D0333530D03334323631D52F50D2898E8DD541132D048BC60200E97C0A88');
INSERT INTO "job_selections" VALUES('cancelled',X'785E8B8E563232D0333530D03334323631D52F50D2898E8DD541132D048BC60200E97C0A88');
INSERT INTO "job_selections" VALUES('chosen',X'785E15C8410A80201005D0AB0C7F2D3A9A427771240227DA646479FF70F5E0E58CC036315B1F9698DC0B93D1477347DF2FDDD89E0906329835CA247A123CE3FEB40A48DA3C669251D78990B68A52CA0F414C192B');
CREATE TABLE "jobs" (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	owner_user TEXT, 
	owner_group TEXT, 
	flow_uuid TEXT NOT NULL, 
	flow_name TEXT NOT NULL, 
	flow_started_at DATETIME, 
	state TEXT NOT NULL, 
	message TEXT NOT NULL, 
	received_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	failure TEXT DEFAULT '[]' NOT NULL, 
	attempt INTEGER DEFAULT '1' NOT NULL, 
	cancelled_by TEXT DEFAULT '' NOT NULL, 
	cancel_told_at DATETIME, space_granted_at DATETIME, priority INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (number), 
	CONSTRAINT uq_jobs_id UNIQUE (id)
);
INSERT INTO "jobs" VALUES(1,'kept','retrieve','ada','p17','11111111-1111-4111-8111-111111111111','retrieve one','2026-03-01 12:00:00.123456','finishedWithDatasetErrors','','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456','[]',1,'',NULL,'2026-03-01 12:00:00.123456',0);
INSERT INTO "jobs" VALUES(2,'short','retrieve','ada','p17','0','never started',NULL,'jobSubmitted','','2026-03-01 12:00:00.123456','2026-03-01 12:00:00.123456','[]',1,'',NULL,NULL,0);
INSERT INTO "jobs" VALUES(3,'6f1c2a50-0000-4000-8000-000000000001','retrieve','ada','p17','11111111-1111-4111-8111-111111111111','retrieve one','2026-03-01 12:00:00.123456','inProgress','ä\u005cu0041 "quoted" 
\u0000 \ud800 \u005c end','2026-03-01 12:00:00.123456','2026-03-01 15:00:00.123456','[]',1,'',NULL,'2026-03-01 15:00:00.123456',3);
INSERT INTO "jobs" VALUES(4,'failed','retrieve','ada','p17','2','again',NULL,'finishedUnsuccessful','too late again','2026-03-01 13:00:00.123456','2026-03-01 15:00:00.123456','[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]',2,'',NULL,NULL,0);
INSERT INTO "jobs" VALUES(5,'cancelled','retrieve','ada','p17','11111111-1111-4111-8111-111111111111','retrieve one','2026-03-01 14:00:00.123456','jobSubmitted','','2026-03-01 14:00:00.123456','2026-03-01 14:00:00.123456','[]',1,'ada','2026-03-01 15:00:00.123456',NULL,0);
INSERT INTO "jobs" VALUES(6,'chosen','retrieve','ada','p17','11111111-1111-4111-8111-111111111111','retrieve one','2026-03-01 15:00:00.123456','jobSubmitted','','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456','[]',1,'',NULL,NULL,0);
CREATE TABLE marked_areas (
	place TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_marked_areas PRIMARY KEY (place)
);
INSERT INTO "marked_areas" VALUES('/staging/of the last year','2026-03-01 15:00:00.123456');
CREATE TABLE pins (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	pid TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	by_job BOOLEAN NOT NULL, 
	owner_group TEXT, 
	bytes BIGINT NOT NULL, 
	until DATETIME, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT uq_pins_owner_by_job_pid UNIQUE (owner, by_job, pid)
);
INSERT INTO "pins" VALUES(2,'20.500.12345/r','kept',1,'p17',2000,'2126-03-01 12:00:00.123456','2026-03-01 12:00:00.123456');
INSERT INTO "pins" VALUES(3,'20.500.12345/r','ada',0,NULL,0,'2026-03-01 13:00:00.123456','2026-03-01 12:00:00.123456');
INSERT INTO "pins" VALUES(4,'20.500.12345/p','6f1c2a50-0000-4000-8000-000000000001',1,'p17',4024,NULL,'2026-03-01 15:00:00.123456');
CREATE TABLE places (
	job_id TEXT NOT NULL, 
	wanted_at DATETIME NOT NULL, 
	needed BIGINT, 
	overtaken BIGINT NOT NULL, 
	asked_at DATETIME, 
	CONSTRAINT pk_places PRIMARY KEY (job_id), 
	CONSTRAINT fk_places_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "places" VALUES('cancelled','2026-03-01 15:00:00.123456',2024,0,'2026-03-01 15:00:00.123456');
CREATE TABLE recall_leads (
	store TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until DATETIME NOT NULL, 
	CONSTRAINT pk_recall_leads PRIMARY KEY (store)
);
INSERT INTO "recall_leads" VALUES('lts','planner-1','2026-03-01 16:00:00.123456');
CREATE TABLE recalls (
	pid TEXT NOT NULL, 
	datablock TEXT NOT NULL, 
	store TEXT NOT NULL, 
	archive_id TEXT NOT NULL, 
	place INTEGER NOT NULL, 
	bytes BIGINT NOT NULL, 
	run TEXT NOT NULL, 
	owner_group TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	wanted_at DATETIME NOT NULL, 
	phase TEXT NOT NULL, 
	tape TEXT, 
	position BIGINT NOT NULL, 
	request TEXT NOT NULL, 
	asked_at DATETIME, 
	first_asked_at DATETIME, 
	online_at DATETIME, 
	expected_at DATETIME, 
	missing_since DATETIME, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_recalls PRIMARY KEY (pid, datablock), 
	CONSTRAINT fk_recalls_datablocks FOREIGN KEY(pid, datablock) REFERENCES datablocks (pid, id) ON DELETE CASCADE
);
INSERT INTO "recalls" VALUES('20.500.12345/p','block-2','lts','archive-2.tar',2,1000,'run-1','p17',3,'2026-03-01 15:00:00.123456','asked','VB1234',17,'request-1','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456',NULL,'2026-03-01 13:00:00.123456',NULL,'ä\u005cu0041 "quoted" 
\u0000 \ud800 \u005c end');
INSERT INTO "recalls" VALUES('20.500.12345/s','block-0','mirror','archive-0.tar',0,1000,'run-1','',0,'2026-03-01 15:00:00.123456','waiting',NULL,0,'',NULL,NULL,NULL,NULL,NULL,'');
CREATE TABLE remarks (
	pid TEXT NOT NULL, 
	remark TEXT NOT NULL, 
	CONSTRAINT pk_remarks PRIMARY KEY (pid)
);
INSERT INTO "remarks" VALUES('20.500.12345/p','ä\u005cu0041 "quoted" 
\u0000 \ud800 \u005c end');
CREATE TABLE reports (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	told TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	failure TEXT NOT NULL, 
	parked BOOLEAN NOT NULL, 
	teller TEXT NOT NULL, 
	claimed_until DATETIME
, undeliverable BOOLEAN DEFAULT 0 NOT NULL, dropped TEXT DEFAULT '' NOT NULL);
INSERT INTO "reports" VALUES(3,'job','6f1c2a50-0000-4000-8000-000000000001','inProgress','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456',1,'[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]',1,'',NULL,0,'');
INSERT INTO "reports" VALUES(4,'job','failed','finishedUnsuccessful','2026-03-01 15:00:00.123456','2026-03-01 13:00:00.123456',1,'[["checksum_mismatch", "The file a/b differs.", "operator", "data", "archive-1.tar"]]',0,'teller-1','2026-03-01 16:00:00.123456',0,'');
INSERT INTO "reports" VALUES(5,'job','failed','finishedUnsuccessful','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456',0,'[]',0,'',NULL,0,'');
INSERT INTO "reports" VALUES(6,'dataset','20.500.12345/p','["started", {}, null, null]','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456',0,'[]',0,'',NULL,0,'');
INSERT INTO "reports" VALUES(7,'dataset','20.500.12345/q','["datasetRetrievalFailed", {"message": "\u005cu00e4\u005c\u005cu0041 \u005c"quoted\u005c" \u005cn\u005cu0000 \u005cud800 \u005c\u005c end"}, null, false]','2026-03-01 15:00:00.123456','2026-03-01 15:00:00.123456',0,'[]',0,'',NULL,0,'');
CREATE TABLE space (
	staged BIGINT NOT NULL, 
	claimed BIGINT NOT NULL
);
INSERT INTO "space" VALUES(4096,3000);
CREATE TABLE transitions (
	number INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	kind TEXT NOT NULL, 
	job_id TEXT, 
	pid TEXT, 
	datablock TEXT, 
	old TEXT NOT NULL, 
	new TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_transitions PRIMARY KEY (number)
);
INSERT INTO "transitions" VALUES(1,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-0','','planned','');
INSERT INTO "transitions" VALUES(2,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-1','','planned','');
INSERT INTO "transitions" VALUES(3,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-2','','planned','');
INSERT INTO "transitions" VALUES(4,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-0','planned','recalling','');
INSERT INTO "transitions" VALUES(5,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-0','recalling','copying','');
INSERT INTO "transitions" VALUES(6,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-0','copying','copied','');
INSERT INTO "transitions" VALUES(7,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-0','copied','staged','');
INSERT INTO "transitions" VALUES(8,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-1','planned','recalling','');
INSERT INTO "transitions" VALUES(9,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/p','block-1','recalling','copying','');
INSERT INTO "transitions" VALUES(10,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','','planned','');
INSERT INTO "transitions" VALUES(11,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-1','','planned','');
INSERT INTO "transitions" VALUES(12,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','planned','recalling','');
INSERT INTO "transitions" VALUES(13,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','recalling','copying','');
INSERT INTO "transitions" VALUES(14,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','copying','copied','');
INSERT INTO "transitions" VALUES(15,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','copied','staged','');
INSERT INTO "transitions" VALUES(16,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-0','staged','released','');
INSERT INTO "transitions" VALUES(17,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/q','block-1','planned','failed','');
INSERT INTO "transitions" VALUES(18,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-0','','planned','');
INSERT INTO "transitions" VALUES(19,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-1','','planned','');
INSERT INTO "transitions" VALUES(20,'2026-03-01 12:00:00.123456','job','kept',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(21,'2026-03-01 12:00:00.123456','dataset','kept','20.500.12345/p',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(22,'2026-03-01 12:00:00.123456','dataset','kept','20.500.12345/r',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(23,'2026-03-01 12:00:00.123456','job','kept',NULL,NULL,'jobSubmitted','inProgress','');
INSERT INTO "transitions" VALUES(24,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-0','planned','recalling','');
INSERT INTO "transitions" VALUES(25,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-0','recalling','copying','');
INSERT INTO "transitions" VALUES(26,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-0','copying','copied','');
INSERT INTO "transitions" VALUES(27,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-0','copied','staged','');
INSERT INTO "transitions" VALUES(28,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-1','planned','recalling','');
INSERT INTO "transitions" VALUES(29,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-1','recalling','copying','');
INSERT INTO "transitions" VALUES(30,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-1','copying','copied','');
INSERT INTO "transitions" VALUES(31,'2026-03-01 12:00:00.123456','datablock',NULL,'20.500.12345/r','block-1','copied','staged','');
INSERT INTO "transitions" VALUES(32,'2026-03-01 12:00:00.123456','dataset','kept','20.500.12345/p',NULL,'submitted','failed','checksum_mismatch');
INSERT INTO "transitions" VALUES(33,'2026-03-01 12:00:00.123456','dataset','kept','20.500.12345/r',NULL,'submitted','retrieved','');
INSERT INTO "transitions" VALUES(34,'2026-03-01 12:00:00.123456','job','kept',NULL,NULL,'inProgress','finishedWithDatasetErrors','');
INSERT INTO "transitions" VALUES(35,'2026-03-01 12:00:00.123456','job','short',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(36,'2026-03-01 12:00:00.123456','job','6f1c2a50-0000-4000-8000-000000000001',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(37,'2026-03-01 12:00:00.123456','dataset','6f1c2a50-0000-4000-8000-000000000001','20.500.12345/p',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(38,'2026-03-01 12:00:00.123456','dataset','6f1c2a50-0000-4000-8000-000000000001','20.500.12345/q',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(39,'2026-03-01 13:00:00.123456','job','failed',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(40,'2026-03-01 13:00:00.123456','dataset','failed','20.500.12345/p',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(41,'2026-03-01 13:00:00.123456','dataset','failed','20.500.12345/q',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(42,'2026-03-01 14:00:00.123456','job','cancelled',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(43,'2026-03-01 14:00:00.123456','dataset','cancelled','20.500.12345/p',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(44,'2026-03-01 14:00:00.123456','dataset','cancelled','20.500.12345/q',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(45,'2026-03-01 15:00:00.123456','job','6f1c2a50-0000-4000-8000-000000000001',NULL,NULL,'jobSubmitted','inProgress','ä\u005cu0041 "quoted" 
\u0000 \ud800 \u005c end');
INSERT INTO "transitions" VALUES(46,'2026-03-01 15:00:00.123456','dataset','6f1c2a50-0000-4000-8000-000000000001','20.500.12345/p',NULL,'submitted','started','');
INSERT INTO "transitions" VALUES(47,'2026-03-01 15:00:00.123456','dataset','6f1c2a50-0000-4000-8000-000000000001','20.500.12345/q',NULL,'submitted','failed','checksum_mismatch');
INSERT INTO "transitions" VALUES(48,'2026-03-01 15:00:00.123456','job','failed',NULL,NULL,'jobSubmitted','finishedUnsuccessful','too late');
INSERT INTO "transitions" VALUES(49,'2026-03-01 15:00:00.123456','dataset','failed','20.500.12345/p',NULL,'submitted','failed','checksum_mismatch');
INSERT INTO "transitions" VALUES(50,'2026-03-01 15:00:00.123456','dataset','failed','20.500.12345/q',NULL,'submitted','failed','checksum_mismatch');
INSERT INTO "transitions" VALUES(51,'2026-03-01 15:00:00.123456','dataset','failed','20.500.12345/p',NULL,'failed','submitted','to be retrieved again');
INSERT INTO "transitions" VALUES(52,'2026-03-01 15:00:00.123456','job','failed',NULL,NULL,'finishedUnsuccessful','jobSubmitted','to be retrieved again');
INSERT INTO "transitions" VALUES(53,'2026-03-01 15:00:00.123456','job','failed',NULL,NULL,'jobSubmitted','finishedUnsuccessful','too late again');
INSERT INTO "transitions" VALUES(54,'2026-03-01 15:00:00.123456','dataset','failed','20.500.12345/p',NULL,'submitted','failed','checksum_mismatch');
INSERT INTO "transitions" VALUES(55,'2026-03-01 15:00:00.123456','datablock',NULL,'20.500.12345/p','block-2','planned','recalling','');
INSERT INTO "transitions" VALUES(56,'2026-03-01 15:00:00.123456','datablock',NULL,'20.500.12345/s','block-0','','planned','');
INSERT INTO "transitions" VALUES(57,'2026-03-01 15:00:00.123456','datablock',NULL,'20.500.12345/s','block-0','planned','recalling','');
INSERT INTO "transitions" VALUES(58,'2026-03-01 15:00:00.123456','job','chosen',NULL,NULL,'','jobSubmitted','');
INSERT INTO "transitions" VALUES(59,'2026-03-01 15:00:00.123456','dataset','chosen','20.500.12345/s',NULL,'','submitted','');
INSERT INTO "transitions" VALUES(60,'2026-03-01 15:00:00.123456','datablock',NULL,'20.500.12345/s','block-0~0123456789abcdef','','planned','');
CREATE INDEX ix_reports_kind_name_number ON reports (kind, name, number);
CREATE INDEX ix_reports_parked_due_at ON reports (parked, due_at);
CREATE INDEX ix_jobs_flow_started_at_number ON jobs (flow_started_at, number);
CREATE INDEX ix_jobs_state_number ON jobs (state, number);
CREATE INDEX ix_job_datasets_pid_job_id ON job_datasets (pid, job_id);
CREATE INDEX ix_pins_pid ON pins (pid);
CREATE INDEX ix_pins_owner_group_pid_bytes ON pins (owner_group, pid, bytes);
CREATE INDEX ix_places_needed_wanted_at ON places (needed, wanted_at);
CREATE INDEX ix_datablocks_pid_listed_position ON datablocks (pid, listed, position);
CREATE INDEX ix_datablocks_files_left_pid_id ON datablocks (files_left, pid, id);
CREATE INDEX ix_datablocks_state_pid_id ON datablocks (state, pid, id);
CREATE INDEX ix_datablocks_partial ON datablocks (partial);
CREATE INDEX ix_datablocks_checked_at_pid_id ON datablocks (checked_at, pid, id);
CREATE INDEX ix_datablocks_by_use ON datablocks (state, pinned, used_at, pid, id);
CREATE INDEX ix_datablocks_by_size ON datablocks (state, pinned, bytes_total DESC, used_at, pid, id);
CREATE INDEX ix_recalls_store_wanted_at ON recalls (store, wanted_at);
CREATE INDEX ix_claims_more ON claims (more);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('reports',7);
INSERT INTO "sqlite_sequence" VALUES('pins',4);
COMMIT;
