"""The mail host: SMTP and IMAP."""
