"""Supabase without Docker, for development and tests; nothing in the product imports it."""
