"""
Measures methods against each other on recordings, in a way that cannot flatter any of them.
"""
