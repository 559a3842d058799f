"""The flows: which steps a retrieval takes, in which order and how long each may take.

The engine replays flows, so they are pure.
"""
