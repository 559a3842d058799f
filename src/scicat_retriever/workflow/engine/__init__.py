"""The engine: connections to it, values that cross its border, and the seal on them."""
