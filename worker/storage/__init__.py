"""The user's own object store, the sources that are read and the outputs that are kept."""
