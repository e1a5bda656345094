"""Files of model formats whose libraries must not be their first reader: taken apart and checked here, in plain Python and numpy."""
