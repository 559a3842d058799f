"""A tape library to test and demonstrate with, and servers that speak for it."""
