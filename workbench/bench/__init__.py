"""How fast this machine explains: models of several sizes made on the spot, asked through a desk as any other."""
