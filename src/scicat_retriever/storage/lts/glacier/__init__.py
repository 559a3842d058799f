"""A long-term store that is an S3 bucket with archive classes."""
