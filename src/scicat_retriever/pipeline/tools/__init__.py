"""What the steps work with: the stores, the policies, the ports in one box."""
