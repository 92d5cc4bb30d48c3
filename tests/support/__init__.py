"""Real components for tests: ports, publishers, receivers, and waiting for what they do."""
