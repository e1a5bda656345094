"""From foreign files to typed parts: the manifest and its faults, safe paths, tables as vendors send them, columns, roles."""
