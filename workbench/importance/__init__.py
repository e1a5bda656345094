"""What a model leans on over the whole panel: measures of all rows' exact Shapley values, with errors that know of persistence."""
