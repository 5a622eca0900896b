"""
Raises the floor of HorizontalPodAutoscalers to what a hint asks for, and gives it back.
"""
