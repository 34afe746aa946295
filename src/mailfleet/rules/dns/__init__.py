"""The records a sending domain needs: parsed, merged, planned and judged. Nothing here asks the network."""
