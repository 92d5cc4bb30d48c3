"""HLS beyond what media servers write: the master playlist of a ladder."""
