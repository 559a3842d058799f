"""The page on what users see in SciCat, and the token of the account: its examples are run."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.result import fitted
from scicat_retriever.pipeline.staging import pins
from scicat_retriever.ports.catalogue import JobUpdate
from stand_ins import local_http
from stand_ins.scicat import RELEASES, ScicatStandIn
from tests.docs.handlebars import rendered
from tests.docs.pages import Block, blocks
from tests.unit.pipeline.rig import JOB, PID, Rig
from tests.unit.pipeline.shown import page_of

PAGE = "docs/how-to/what-users-see-in-scicat.md"
OTHER = DatasetPid("20.500.12345/q <b>")
MISMATCH = errors.ChecksumMismatch("'a' differs from <what> is catalogued").failure("q-0.tar")
ENDED = [JobState.SUCCESSFUL, JobState.WITH_DATASET_ERRORS, JobState.UNSUCCESSFUL]


def only(language: str, place: str) -> Block:
    """Give the block of a language that stands on a page."""
    [block] = [each for each in blocks(language) if each.place.startswith(f"{place}:")]
    return block


def ended(state: JobState) -> JobUpdate:
    """Give what the service reports of a job that ended so."""
    rig = Rig()
    rig.staged_dataset()
    rig.job(PID, *([OTHER] if state is not JobState.SUCCESSFUL else []))
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    if state is not JobState.SUCCESSFUL:
        rig.ledger.jobs.move_dataset(JOB, OTHER, DatasetState.FAILED, [MISMATCH])
    why = errors.JobDeadlinePassed("it took too long").failure() if state is JobState.UNSUCCESSFUL else None
    assert report.close_job(JOB, why, rig.tools) is state
    return report.job_update(JOB, state, rig.tools)


def as_scicat_has_it(told: JobUpdate) -> dict[str, Any]:
    """Give the job as SciCat stores it after the report."""
    return {
        "id": JOB,
        "type": "retrieve",
        "contactEmail": "ada@your.site",
        "statusCode": told.state,
        "statusMessage": told.message,
        "jobParams": {"retrieveDestination": "Download"},
        "jobResultObject": dict(told.result or {}),
    }


def mails(job: dict[str, Any]) -> list[dict[str, str]]:
    """Do what SciCat does with the page's `update` actions: the first case that matches has its actions run."""
    [job_type] = yaml.safe_load(only("yaml", PAGE).text)["jobs"]
    [switch] = job_type["update"]["actions"]
    assert (switch["actionType"], switch["phase"]) == ("switch", "perform")
    assert switch["property"] == "job.statusCode"
    for case in switch["cases"]:
        pattern = re.fullmatch("/(.*)/", case["regex"])
        assert pattern
        if re.search(pattern[1], job["statusCode"]):
            return [sent(action, job) for action in case["actions"]]
    return []


def sent(action: dict[str, str], job: dict[str, Any]) -> dict[str, str]:
    assert action["actionType"] == "email"
    assert action["bodyTemplateFile"] == "retrieve-mail.html"
    words = {key: rendered(action[key], {"job": job}) for key in ("to", "subject")}
    return {**words, "body": rendered(only("html", PAGE).text, {"job": job})}


class Mail(HTMLParser):
    """Reads a mail as a mail program does: its links, its tags, its text."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("state", ENDED, ids=str)
def test_each_end_of_a_job_sends_its_owner_one_mail_with_every_link_and_every_error(state: JobState) -> None:
    told = ended(state)
    job = as_scicat_has_it(told)
    [mail] = mails(job)
    assert mail["to"] == "ada@your.site"
    assert mail["subject"].endswith(told.state)  # the message ends with a link, which is a secret
    read = Mail(mail["body"])
    result = job["jobResultObject"]
    assert read.links == [result["url"], *(entry["url"] for entry in result["result"])]
    for entry in result["result"]:
        assert f"{entry['name']}, {entry['size']} bytes, until {entry['expires']}" in read.text
    assert "do not fit" not in read.text
    for error in result["errors"]:
        assert f"{error['message']} (to be mended by: {error['who']})" in read.text
    assert told.message in read.text


def test_no_name_of_the_catalogue_becomes_markup_of_a_mail() -> None:
    [mail] = mails(as_scicat_has_it(ended(JobState.WITH_DATASET_ERRORS)))
    assert OTHER in Mail(mail["body"]).text
    assert Mail(mail["body"]).tags == {"p", "ul", "li", "a"}


def test_what_is_not_kept_any_more_is_said_and_its_page_says_so_too() -> None:
    rig = Rig()
    rig.retrieved(PID)
    pins.unpin(JOB, rig.ledger)
    job = as_scicat_has_it(report.job_update(JOB, JobState.SUCCESSFUL, rig.tools))
    [mail] = mails(job)
    read = Mail(mail["body"])
    page = rig.links.retrieval(JOB, 0)
    assert read.links == [page, f"{page}/datasets/1"]
    assert "is not kept any more" in read.text
    assert "until" not in read.text
    assert page_of(rig)["state"] == "gone"


def test_what_does_not_fit_in_is_said_in_the_mail() -> None:
    job = as_scicat_has_it(ended(JobState.SUCCESSFUL))
    (entry,) = job["jobResultObject"]["result"]
    many = {"result": [entry] * 9000, "errors": []}
    job["jobResultObject"] = {"url": job["jobResultObject"]["url"], **fitted(many)}
    [mail] = mails(job)
    assert " of 9,000 datasets do not fit in here: the page has them" in Mail(mail["body"]).text


def test_a_template_that_prints_the_keys_of_scicats_own_leads_to_the_page_of_each_dataset() -> None:
    job = as_scicat_has_it(ended(JobState.SUCCESSFUL))
    template = (
        "{{#each job.jobResultObject.result}}"
        '<p>{{datasetId}}: <a href="{{url}}">{{name}}</a> ({{size}} bytes)</p>'
        "{{/each}}"
    )
    read = Mail(rendered(template, {"job": job}))
    (entry,) = job["jobResultObject"]["result"]
    assert read.links == [f"{job['jobResultObject']['url']}/datasets/1"]
    assert read.text == f"{PID}: {entry['name']} ({entry['size']} bytes)"


@pytest.mark.parametrize("status", ["jobSubmitted", "inProgress"])
def test_a_job_that_has_not_ended_sends_no_mail(status: str) -> None:
    assert mails({**as_scicat_has_it(ended(JobState.SUCCESSFUL)), "statusCode": status}) == []


@pytest.mark.parametrize("release", ["4.27", "5.2.1", "master"])
def test_the_token_that_the_page_makes_may_report(release: str) -> None:
    [script] = [each.text for each in blocks("sh") if '"expiresIn": "never"' in each.text]
    stand_in = ScicatStandIn(release=RELEASES[release])
    stand_in.add_dataset(PID)
    with stand_in.serve() as url:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "SCICAT": url,
            "ADMIN_PASSWORD": "admin-pw",
            "SERVICE_PASSWORD": "archivemanager-pw",
        }
        shown = subprocess.run(
            ["/bin/sh", "-euc", f'{script}\necho; echo "$TOKEN"'],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        token = shown.stdout.split()[-1]
        answer = local_http.patch(
            f"{url}/api/v4/datasets/{PID.replace('/', '%2F')}/datasetlifecycle",
            json={"retrieveStatusMessage": "started"},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert '"username":"archiveManager"' in shown.stdout
    assert answer.status_code == 200
