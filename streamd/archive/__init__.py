"""Turns what recorders write into recordings, and keeps them: one process for each rule."""
