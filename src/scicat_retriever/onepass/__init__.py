"""The one-pass transfer: read an archive once, write it, and hash every member of its tar on the way."""
