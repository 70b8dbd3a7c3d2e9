"""The HTTP API: requests in, documents out."""
