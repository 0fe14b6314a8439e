"""What helps on a laptop and never ships: the stand-in Hanko, the local AWS, the demo."""
