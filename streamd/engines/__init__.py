"""The media servers that streamd can run, behind one Protocol."""
