"""The daemon: one per user and box. It keeps the queue and the gallery, and hands jobs to a worker."""
