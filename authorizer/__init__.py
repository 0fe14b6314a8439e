"""The Hanko authorizer: everything that runs in AWS, and nothing else."""

__version__ = "0.1.0"
