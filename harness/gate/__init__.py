"""The gate: may these weights go to production?"""
