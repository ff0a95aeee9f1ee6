"""Diff: two archives, or an archive and an account, compared message by message.

``run.run_diff`` is the way in; ``sides`` reads, ``compare`` pairs, ``report`` tells.
"""
