"""The stand-in model: a real HTTP server on loopback that speaks Chat Completions and plays the helpdesk."""
