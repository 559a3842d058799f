"""Computed archives: zip and tar files that are stored nowhere, and read at any byte.

`entries` says what is inside, `zip_layout` and `tar_layout` where each byte of it lies, `zip_records` and
`tar_records` how the formats write it down. All of it is pure: no file, no manifest, no HTTP.
"""
