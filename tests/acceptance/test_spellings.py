"""A dataset whose files SciCat spells otherwise than its archives: all of it comes back, and so do chosen files."""

from typing import Any

from stand_ins.retrieval_page import datablocks
from stand_ins.scicat import log_in, submit_retrieve_job
from tests.acceptance.facility import Facility, download, some_datablocks

SOURCE = "/data/p1/run1"


def archive_absolute(facility: Facility) -> tuple[str, list[dict[str, bytes]]]:
    """Archive a dataset of relative members that is catalogued with absolute paths; gives its pid and files."""
    pid = facility.new_pid()
    contents = some_datablocks("raw", 2)
    facility.scicat.add_dataset(pid, sourceFolder=SOURCE)
    for number, content in enumerate(contents):
        block: dict[str, Any] = facility.datablock(pid, number, content)
        listed = [{**file, "path": f"{SOURCE}/{file['path']}"} for file in block["dataFileList"]]
        facility.scicat.add_datablocks(pid, [{**block, "dataFileList": listed, "chkAlg": "SHA-2"}])
    return pid, contents


def test_a_dataset_catalogued_with_absolute_paths_comes_back(facility: Facility) -> None:
    pid, contents = archive_absolute(facility)
    name, content = next(iter(contents[1].items()))
    original = {"path": name, "size": len(content), "time": "2026-01-02T03:04:05.000Z"}
    facility.scicat.add_origdatablock(pid, {"size": len(content), "dataFileList": [original]})
    whole = facility.wait_for(facility.ask_for(pid))
    token = log_in(facility.scicat_url, "scientist")
    asked = submit_retrieve_job(facility.scicat_url, [pid], token=token, files={pid: [name]})
    chosen = facility.wait_for(str(asked.json()["id"]))
    [link] = datablocks(chosen)
    assert content in download(link["url"])
    assert (whole["statusCode"], chosen["statusCode"]) == ("finishedSuccessful", "finishedSuccessful")
    for entry, files in zip(datablocks(whole), contents, strict=True):
        assert entry["integrity"] == "verified"
        [matched] = entry["matchedBy"]
        assert (matched["spelling"], matched["files"]) == ("source_folder", len(files))
    assert (link["chosen"], link["askedAs"]) == ([f"{SOURCE}/{name}"], {f"{SOURCE}/{name}": name})
