"""What no document of AWS says, asked of an account of yours: `make ask-aws`."""
