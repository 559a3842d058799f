"""What the pipeline needs of the world outside, as protocols whose docstrings state the promises."""
