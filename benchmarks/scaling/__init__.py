"""Images larger than memory: measured here, and simulated on many machines."""
