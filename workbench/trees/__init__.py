"""Tree ensembles as arrays: a model file read and checked without its library."""
