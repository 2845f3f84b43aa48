"""What the processes say to each other. Pure data: nothing here imports anything else of ours."""

PROTOCOL_VERSION = 2
"""Raised whenever a client and an engine of different versions could misread each other."""
