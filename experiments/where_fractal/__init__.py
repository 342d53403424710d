"""Where losses are fractal: what is measured of one seed, the seven parts, the rules, the tables and the figures."""
