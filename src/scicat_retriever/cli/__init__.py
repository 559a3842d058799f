"""The command line."""

import gc

# What is imported is no garbage: to look for some among it, as often as Python does, takes a quarter of the
# time of a start. Processes that go on set what suits them.
gc.set_threshold(200_000, 20, 20)
