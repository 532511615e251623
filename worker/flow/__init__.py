"""Flow control: budgets, slots, turns and leases of one account, held for the whole fleet by scripts in Redis."""
