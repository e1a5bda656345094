"""What the pages are made of: functions that draw, one file for each thing drawn."""
