"""The names of the sandbox: parent, nameservers, resolvers."""
