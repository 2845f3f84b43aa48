"""The model that comes with Latentty, and how it was made."""
