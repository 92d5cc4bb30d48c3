"""What each command does and prints, and the status that it exits with."""
