"""What `latentty bench` measures inside a process with torch: our way and the naive diffusers way, one at a time."""
