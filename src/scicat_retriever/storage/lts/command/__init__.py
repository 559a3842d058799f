"""A long-term store that is asked by commands of the operator."""
