"""Questions that AWS's documents leave open, asked of your own account: `make ask-aws`."""
