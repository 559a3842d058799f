"""Programs of the operator: how they are started, what they are given, what their answers mean."""
