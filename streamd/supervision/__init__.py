"""supervisord, which owns every media process, and the seam to it."""
