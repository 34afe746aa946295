"""Long campaigns: `python -m proofs.NAME`, seeded, each prints its figures."""
