"""
What others have said, as a sentence of a message.
"""


def sentence(text: str) -> str:
    """*text* with a capital letter and a full stop; nothing stays nothing."""
    whole = text[:1].upper() + text[1:]
    return whole if not text or text.endswith((".", "!", "?")) else f"{whole}."
