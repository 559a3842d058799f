"""The books of datablocks: what a dataset consists of, and what is held of it."""
