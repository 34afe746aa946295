"""The world outside: vendors' faces, DNS, mail servers and people who answer. Knows nothing of the product."""
