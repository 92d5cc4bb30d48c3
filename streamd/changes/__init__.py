"""What a save would change: compared as values, told in words."""
