"""What a browser needs in front of the local AWS: TLS, host names, a page, and what AWS does at its edge."""
