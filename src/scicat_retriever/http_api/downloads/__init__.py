"""Downloads of staged datablocks by signed links."""
