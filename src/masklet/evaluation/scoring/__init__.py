"""Masks in folders against the truth in folders, whoever wrote them.

folders     which files belong to which sequence
frames      the masks of one frame, from files
score       all sequences, in several processes
categories  the seen and unseen objects of YouTube-VOS
table       scores as rows, CSV and JSON
"""
