"""The local stack's stand-in for Supabase Realtime: its wire protocol over this database's own changes."""
