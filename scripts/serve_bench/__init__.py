"""Requests per second of model servers, one at a time, with the same client."""
