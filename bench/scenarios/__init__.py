"""What is measured: one scenario a file. Each is a function of `Options` that gives `Findings`."""
