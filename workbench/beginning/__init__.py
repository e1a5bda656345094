"""A bundle's beginning: a manifest guessed from a model file and a table, each guess with its reason, and what only the author knows."""
