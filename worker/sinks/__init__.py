"""Where completion messages go, one file a kind, and the pump that takes them there from the outbox."""
