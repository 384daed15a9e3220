"""A production agent that can be operated: the loop, its tools, its money, its journal."""

__version__ = "0.1.0"
