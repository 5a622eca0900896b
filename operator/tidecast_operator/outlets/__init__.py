"""
What tells autoscalers of hints; each outlet reads the noticeboard and nothing else.
"""
