"""What the pipeline needs of the world outside, as protocols whose docstrings state the promises.

What their words mean (claim, pin, line, recall, run, report, ...) is in `docs/reference/glossary.md`.
"""
