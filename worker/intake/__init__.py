"""From what users hand in (JSON Lines, CSV, a folder of pictures, a message) to listings that can be enqueued."""
