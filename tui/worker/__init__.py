"""The worker: torch and diffusers live here, and only here."""
