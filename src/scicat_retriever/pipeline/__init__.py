"""The steps of a retrieval, one per file: plain functions over ports."""
