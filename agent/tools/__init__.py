"""Typed tools: from a Python function to a schema, from a model's call to a result."""
