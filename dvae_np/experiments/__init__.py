"""What the command line runs that is more than one call: their results are committed in dvae_np/records."""
