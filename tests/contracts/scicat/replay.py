"""Replays a scenario against a SciCat and says what differs from the recording."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from tests.contracts.scicat.comparison import Names, differences
from tests.contracts.scicat.scenario import Scenario
from tests.contracts.scicat.targets import Target

Entry = dict[str, Any]
_JSON = {"Content-Type": "application/json"}


class Replay:
    """One run of a scenario: makes its starting state, sends its requests, compares its answers."""

    def __init__(self, scenario: Scenario, target: Target) -> None:
        self._scenario = scenario
        self._target = target
        self._names = Names()
        # Digits alone, so that no search for letters in a name finds them.
        run = f"{uuid.uuid4().int % 10**8:08d}"
        # The longest first: a short text may be part of a longer one, and then must not be renamed within it.
        for text in sorted(scenario.unique, key=len, reverse=True):
            self._names.bind(
                text, f"{text}{'' if text.endswith('-') else '-'}{run}{'-' if text.endswith('-') else ''}"
            )
        self.replayed = 0

    def run(self) -> list[str]:
        """Replay all entries; gives the differences, each with the number and the note of its entry."""
        for step in self._scenario.setup:
            self._prepare(step)
        self._forget_received()
        found: list[str] = []
        for entry in self._scenario.exchanges:
            if not self._is_possible(entry):
                continue
            self.replayed += 1
            label = f"{self._scenario.source}#{entry['n']} {entry['note']!r}"
            found += [f"{label}: {text}" for text in self._entry(entry)]
        return found

    def _is_possible(self, entry: Entry) -> bool:
        """Tell whether the target lets an entry be replayed: its records or its job target may be out of reach."""
        if entry.get("isolated") and not self._target.private:
            return False
        return self._target.catcher is not None or not ("received" in entry or "target_answers" in entry)

    def _prepare(self, step: Entry) -> None:
        for index in range(step.get("repeat", 1)):
            text = json.dumps(step["body"]).replace("{i}", str(index))
            answer = self._send(step["as"], step["method"], step["path"], text.encode(), _JSON)
            assert answer.is_success, f"setup of {self._scenario.source}: {answer.status_code} {answer.text}"
            if "makes" in step:
                self._names.bind(step["makes"], answer.json()["id"])

    def _forget_received(self) -> None:
        catcher = self._target.catcher
        while catcher is not None and not catcher.received.empty():
            catcher.received.get_nowait()

    def _entry(self, entry: Entry) -> Iterator[str]:
        if "received" in entry:
            yield from self._received(entry["received"])
            return
        if "target_answers" in entry and self._target.catcher is not None:
            self._target.catcher.answers = entry["target_answers"]
        answer = self._request(entry)
        if self._target.catcher is not None:
            self._target.catcher.answers = 201
        if answer.status_code != entry["status"]:
            yield f"status {answer.status_code} instead of {entry['status']}: {answer.text[:300]}"
            return
        body: Any = answer.json() if answer.content else None
        for kind, compare in self._kinds().items():
            if kind in entry:
                yield from compare(entry, body)

    def _kinds(self) -> dict[str, Callable[[Entry, Any], Iterator[str]]]:
        """Give what an entry may hold of an answer, and how each is compared."""
        return {
            "answer": lambda entry, body: differences(entry["answer"], body, self._names),
            "some": self._some,
            "count": self._count,
            "ids": lambda entry, body: differences(entry["ids"], [one["id"] for one in body], self._names),
            "pids": self._pids,
            "list": lambda entry, body: self._list(entry["list"], body),
            "blocks": lambda entry, body: self._blocks(entry["blocks"], body[0]["datablocks"]),
        }

    def _some(self, entry: Entry, body: Any) -> Iterator[str]:
        """Compare the fields that were recorded."""
        known = {key: body[key] for key in entry["some"] if key in body}
        yield from differences(entry["some"], _without_ids(known), self._names)

    def _count(self, entry: Entry, body: Any) -> Iterator[str]:
        """Compare the number of elements, of the answer or of a list in it."""
        counted = body[entry["within"]] if "within" in entry else body
        yield from differences(entry["count"], len(counted), self._names, "number of elements")

    def _pids(self, entry: Entry, body: Any) -> Iterator[str]:
        """Compare which datasets came, in whatever order."""
        wanted = {self._names.translate(pid) for pid in entry["pids"]}
        others = sorted(wanted ^ {one["pid"] for one in body})
        yield from differences([], others, self._names, "datasets on one side alone")

    def _list(self, recorded: Entry, live: list[Any]) -> Iterator[str]:
        """Compare the length of a long list, and its ends as far as they were recorded."""
        yield from differences(recorded["count"], len(live), self._names, "number of elements")
        for end, index in (("first", 0), ("last", -1)):
            if end in recorded and live:
                yield from differences(recorded[end], live[index], self._names, end)

    def _blocks(self, recorded: list[Any], live: list[Any]) -> Iterator[str]:
        """Compare how many datablocks came with a dataset, and the end of the first one's archive id."""
        count, *first = recorded
        yield from differences(count, len(live), self._names, "number of datablocks")
        if first and live and not live[0]["archiveId"].endswith(f"/{first[0]}"):
            yield f"first datablock: {live[0]['archiveId']!r} instead of {first[0]!r}"

    def _received(self, recorded: Entry) -> Iterator[str]:
        assert self._target.catcher is not None
        live = self._target.catcher.received.get(timeout=60)
        wanted = {**recorded, "headers": {name.lower(): value for name, value in recorded["headers"].items()}}
        seen = {
            **live,
            "headers": {k: v for k, v in live["headers"].items() if k not in ("host", "content-length")},
        }
        yield from differences(wanted, seen, self._names)

    def _request(self, entry: Entry) -> httpx2.Response:
        headers = dict(entry.get("headers", {}))
        path, who = entry["path"], entry["as"]
        credentials = entry.get("credentials", "bearer")
        if credentials != "bearer":
            token = self._target.token(who)
            path = path.replace("<token>", token)
            headers |= {"Authorization": token} if credentials == "raw" else {}
            who = "anonymous"
        content: bytes | None = None
        if "raw" in entry:
            content = self._names.translate(entry["raw"]).encode()
        elif "body" in entry:
            content = json.dumps(entry["body"]).encode()
            headers = {**_JSON, **headers}
        return self._send(who, entry["method"], path, content, headers)

    def _send(
        self, who: str, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> httpx2.Response:
        if content is not None:
            content = self._names.translate(content.decode()).encode()
        return self._target.request(
            who, method, self._names.translate(path), headers=headers, content=content
        )


def _without_ids(value: Any) -> Any:
    """Give a JSON value without the database's own ids, which notes of the recorder do not hold."""
    if isinstance(value, dict):
        return {key: _without_ids(one) for key, one in value.items() if key != "_id"}
    return value
