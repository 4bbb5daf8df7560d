"""One port for clients: keys, tokens and CORS as a hosted project has them, in front of the stack's parts."""
