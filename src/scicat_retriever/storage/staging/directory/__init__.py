"""A staging area that is a folder."""
