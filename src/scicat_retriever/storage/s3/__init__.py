"""What staging on an S3 and archives in an S3 have in common: the connection, its settings, reading an object."""
