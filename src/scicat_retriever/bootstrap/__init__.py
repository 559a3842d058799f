"""The wiring from settings to the parts that run. There are no globals: all is built here and passed on.

A room for each part: a process imports, and waits for, the rooms of those that it has.
"""
