"""A staging area that is an S3 bucket."""
