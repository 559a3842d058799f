import re
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import LinkExpired, LinkTampered
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.pipeline.tools.links import DOWNLOADS_PATH, RETRIEVALS_PATH, Link, LinkSigner
from tests.unit.pipeline.rig import BASE_URL, LIFETIME, SECRET, START

SIGNER = LinkSigner([SECRET], BASE_URL)
KEY = DatablockKey(DatasetPid("20.500.12345/p"), DatablockId("block"))
FOREVER = START + 10 * LIFETIME
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
KEYS = st.builds(DatablockKey, TEXT.map(DatasetPid), TEXT.map(DatablockId))
NAMES = TEXT.map(lambda text: text.replace("/", "_"))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def parts(link: Link) -> tuple[str, dict[str, str]]:
    """The filename and the query of a link, as a server reads them."""
    url = urlsplit(link.url)
    assert f"{url.scheme}://{url.netloc}" == BASE_URL
    folder, _, name = url.path.rpartition("/")
    assert folder == DOWNLOADS_PATH
    return unquote(name), {key: values[0] for key, values in parse_qs(url.query).items()}


def check(name: str, query: dict[str, str], now: datetime = START, signer: LinkSigner = SIGNER) -> None:
    key = DatablockKey(DatasetPid(query["dataset"]), DatablockId(query["datablock"]))
    signer.check(key, name, int(query["expires"]), query["signature"], now)


@given(KEYS, NAMES)
def test_a_link_survives_its_way_through_a_url(key: DatablockKey, saved_as: str) -> None:
    link = SIGNER.link(key, saved_as, FOREVER)
    assert re.fullmatch(r"[!-~]+", link.url)
    name, query = parts(link)
    assert (name, query["dataset"], query["datablock"]) == (saved_as, key.pid, key.id)
    check(name, query)


@pytest.mark.parametrize("part", ["name", "dataset", "datablock", "expires", "signature"])
@given(key=KEYS, saved_as=NAMES, data=st.data())
def test_a_change_of_any_part_is_noticed(
    part: str, key: DatablockKey, saved_as: str, data: st.DataObject
) -> None:
    name, query = parts(SIGNER.link(key, saved_as, FOREVER))
    changed = {"name": name, **query}
    new = data.draw(st.integers(0, 2**40).map(str) if part == "expires" else TEXT)
    assume(new != changed[part])
    changed[part] = new
    with pytest.raises(LinkTampered):
        check(changed.pop("name"), changed)


@given(st.integers(0, 72), st.sampled_from(string.hexdigits + "é"))
def test_no_other_signature_will_do(place: int, digit: str) -> None:
    name, query = parts(SIGNER.link(KEY, "a.tar", FOREVER))
    right = query["signature"]
    assume(right[place] != digit)
    for wrong in (right[:place] + digit + right[place + 1 :], right[:place], right + digit):
        with pytest.raises(LinkTampered):
            check(name, {**query, "signature": wrong})


@given(TEXT, TEXT, TEXT)
def test_the_border_between_pid_and_id_cannot_be_moved(one: str, two: str, three: str) -> None:
    name, query = parts(
        SIGNER.link(DatablockKey(DatasetPid(one + two), DatablockId(three)), "a.tar", FOREVER)
    )
    with pytest.raises(LinkTampered):
        check(name, {**query, "dataset": one, "datablock": two + three})


def test_another_services_link_is_not_valid() -> None:
    name, query = parts(SIGNER.link(KEY, "a.tar", FOREVER))
    with pytest.raises(LinkTampered):
        check(name, query, signer=LinkSigner([SECRET[::-1]], BASE_URL))


def test_links_of_former_versions_name_no_key_and_are_valid() -> None:
    name, query = parts(SIGNER.link(KEY, "a.tar", FOREVER))
    _, _, digest = query["signature"].rpartition(".")
    check(name, {**query, "signature": digest})
    check(name, {**query, "signature": digest}, signer=LinkSigner([SECRET[::-1], SECRET], BASE_URL))


def test_a_link_names_the_key_that_signed_it_and_is_checked_by_that_alone() -> None:
    both = LinkSigner([SECRET[::-1], SECRET], BASE_URL)
    name, query = parts(both.link(KEY, "a.tar", FOREVER))
    check(name, query, signer=LinkSigner([SECRET[::-1]], BASE_URL))
    other_id = parts(SIGNER.link(KEY, "a.tar", FOREVER))[1]["signature"].partition(".")[0]
    digest = query["signature"].partition(".")[2]
    with pytest.raises(LinkTampered):
        check(name, {**query, "signature": f"{other_id}.{digest}"}, signer=both)


@given(MOMENTS)
def test_a_link_never_outlives_the_time_it_was_made_for(until: datetime) -> None:
    link = SIGNER.link(KEY, "a.tar", until)
    assert until - timedelta(seconds=1) < link.expires <= until


@given(MOMENTS)
def test_a_link_is_valid_to_its_last_microsecond_and_not_longer(now: datetime) -> None:
    link = SIGNER.link(KEY, "a.tar", now + LIFETIME)
    name, query = parts(link)
    assert int(query["expires"]) == link.expires.timestamp()
    check(name, query, link.expires - timedelta(microseconds=1))
    with pytest.raises(LinkExpired):
        check(name, query, link.expires)


def test_an_expired_link_that_was_changed_says_nothing_about_its_expiry() -> None:
    name, query = parts(SIGNER.link(KEY, "a.tar", FOREVER))
    with pytest.raises(LinkTampered):
        check(name, {**query, "dataset": "other"}, FOREVER)


def ticket_of(url: str) -> str:
    """The last part of a retrieval's link, as a server reads it."""
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == BASE_URL
    folder, _, last = parts.path.rpartition("/")
    assert folder == RETRIEVALS_PATH
    assert not parts.query
    return unquote(last)


@given(TEXT.map(JobId), st.integers(0, 10**9 - 1))
def test_the_link_of_a_retrieval_survives_its_way_through_a_url(job_id: JobId, serial: int) -> None:
    url = SIGNER.retrieval(job_id, serial)
    assert re.fullmatch(r"[!-~]+", url)
    ticket = SIGNER.ticket(ticket_of(url))
    assert (ticket.job_id, ticket.serial) == (job_id, serial)
    assert ticket.id not in url


@given(TEXT.map(JobId), st.integers(0, 10**9 - 1), st.data())
def test_a_change_of_any_character_of_a_ticket_is_noticed(
    job_id: JobId, serial: int, data: st.DataObject
) -> None:
    ticket = ticket_of(SIGNER.retrieval(job_id, serial))
    at = data.draw(st.integers(0, len(ticket) - 1))
    new = data.draw(TEXT | st.just(""))
    assume(new != ticket[at])
    with pytest.raises(LinkTampered):
        SIGNER.ticket(ticket[:at] + new + ticket[at + 1 :])


@given(TEXT)
def test_anything_else_is_no_ticket(text: str) -> None:
    with pytest.raises(LinkTampered):
        SIGNER.ticket(text)


def test_a_retrieval_is_believed_under_every_key_and_not_under_another() -> None:
    other = b"k" * 32
    ticket = ticket_of(SIGNER.retrieval(JobId("job"), 3))
    assert LinkSigner([other, SECRET], BASE_URL).ticket(ticket) == SIGNER.ticket(ticket)
    with pytest.raises(LinkTampered):
        LinkSigner([other], BASE_URL).ticket(ticket)
