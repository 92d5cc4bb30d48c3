"""The process that makes one stream of inputs that come and go, without a break for its viewers."""
