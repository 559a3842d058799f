"""The implementations of steps, as workers run them."""
