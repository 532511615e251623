"""How results are written: one Markdown document and one drawing, both pure functions of the figures."""
