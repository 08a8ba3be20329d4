"""A small adapter in plain Python, enough to test the provider without a simulator."""
