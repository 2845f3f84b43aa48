"""What lies on the disk: paths, settings, models and their headers, pictures and their metadata."""
