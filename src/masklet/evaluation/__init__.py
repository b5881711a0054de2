"""How well something segments, measured by the protocols of the field.

scoring  masks that any tool wrote, against the truth
"""
