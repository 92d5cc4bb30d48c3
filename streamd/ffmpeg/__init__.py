"""FFmpeg: its argv, what its binary can do, its progress and its errors."""
