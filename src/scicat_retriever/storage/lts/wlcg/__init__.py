"""A long-term store behind the WLCG Tape REST API and WebDAV."""
