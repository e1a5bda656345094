"""Financial models that answer for themselves, in time: explanations inside a budget, misuse checks that are executed."""

__version__ = "0.1.0"
