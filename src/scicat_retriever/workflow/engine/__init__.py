"""The engine itself: reaching it, what crosses its border, and under which seal."""
