"""The staging area as a cache: space, pins, eviction, and whether what is written down is there."""
