"""
An authority of Tidecast's own and the certificates that it signs, kept in Secrets and renewed without a failed call.
"""
