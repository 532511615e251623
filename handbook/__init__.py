"""The documents as a whole: their index, the generated pages, and the site made of them. `make docs` runs it."""
