"""What the vendor does by itself: sending, warm-up, and what comes of a mail."""
