"""The Forge stack: Salesforge (core and multichannel), Warmforge, Infraforge and Mailforge, one account of each.

Written from what is published about them. Each product keeps its own workspaces and ids; they meet only in an address.
"""
