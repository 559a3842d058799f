"""The folders of a dataset, as its page shows them."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field

from scicat_retriever.pipeline.delivery.browsing import listing
from scicat_retriever.pipeline.delivery.contents import Contents

NAMES = 500
"""The most names of a folder that are given at once."""


class ListedFile(BaseModel):
    """A file of the folder that is shown."""

    name: str
    size: int = Field(description="Bytes.")
    url: str = Field(description="Where it is downloaded; no token is needed.")


class ListedFolder(BaseModel):
    """A folder of the folder that is shown."""

    name: str
    url: str = Field(description="The dataset's page with this folder shown, or JSON.")


class Folder(BaseModel):
    """What is shown of a folder of a dataset that is ready."""

    path: str = Field(description="Relative to the dataset's folder; empty for that itself.")
    folders: list[ListedFolder]
    files: list[ListedFile]
    next: str | None = Field(description="Where the names after these are, if there are more.")


def folder_of(contents: Contents, name: str, path: str, behind: str, url: str) -> Folder | None:
    """Give what is shown of a folder; None where there is no such folder.

    Args:
        contents: The dataset's files.
        name: What the dataset's own folder is called.
        path: The folder's path in it; empty for the dataset's own folder.
        behind: The name that those given are behind; empty for the first ones.
        url: The dataset's page.
    """
    below = path.strip("/")
    found = listing(contents, f"{name}/{below}" if below else name, behind, NAMES)
    if found is None:
        return None
    inside = f"{below}/" if below else ""
    return Folder(
        path=below,
        folders=[
            ListedFolder(name=each, url=f"{url}?{urlencode({'folder': inside + each})}")
            for each in found.folders
        ],
        files=[
            ListedFile(name=each, size=size, url=f"{url}/files/{quote(inside + each)}")
            for each, size in found.files
        ],
        next=None if found.last is None else f"{url}?{urlencode({'folder': below, 'behind': found.last})}",
    )
