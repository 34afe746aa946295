"""One way out to every vendor: budget, circuit, retry for reads, journal for writes, redaction, measurement."""
