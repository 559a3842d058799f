"""The tar format: headers, extensions, and the walk through an archive member by member."""
