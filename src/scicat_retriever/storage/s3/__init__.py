"""What all S3 buckets of the service have in common: the connection, its settings, reading an object."""
