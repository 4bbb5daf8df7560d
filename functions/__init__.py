"""Python webhook handlers: what a receiver of Ondol's events looks like."""
