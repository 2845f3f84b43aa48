"""What this terminal can do, and how pictures get onto it."""
