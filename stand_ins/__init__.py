"""Stand-ins for the systems around the service, and the demo that runs on them."""
