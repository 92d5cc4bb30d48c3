"""What streamd knows of recordings beyond the archives that make them."""
