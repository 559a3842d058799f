"""Who is let in to a retrieval: whoever has its link."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Path

from scicat_retriever.domain.errors import JobNotFound, LinkRevoked
from scicat_retriever.http_api.service import Service
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH, Ticket

TicketText = Annotated[
    str, Path(alias="ticket", max_length=700, description="The secret part of a retrieval's link.")
]

Number = Annotated[int, Path(ge=1, le=2**31, description="The dataset's place in the job.")]


def admitted(text: str, service: Service) -> Ticket:
    """Let a good link pass.

    Raises:
        LinkTampered: It is none of ours.
        LinkRevoked: It was revoked.
        JobNotFound: The ledger does not know its job.
    """
    ticket = service.links.ticket(text)
    if ticket.serial != service.ledger.links.serial(ticket.job_id):
        raise LinkRevoked("this link was revoked: ask whoever gave it to you for another one")
    if service.ledger.jobs.get(ticket.job_id) is None:
        raise JobNotFound("the service does not know the job of this link any more")
    return ticket


def url_of(ticket: str, service: Service) -> str:
    """Give the link that a ticket is a part of."""
    return f"{service.links.base_url}{RETRIEVALS_PATH}/{quote(ticket, safe='')}"
