"""What is logged: the names that are bound to every line about a photo, and the table of all events."""
