"""Calls that may never return: each is waited for with a deadline, in a thread that can be left behind."""
