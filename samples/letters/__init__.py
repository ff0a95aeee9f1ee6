"""The letters of the sample mailbox, one module for each part of Jane's life.

Everybody and everything in them is invented; the addresses lie in the domains and networks that
RFC 2606 and RFC 5737 keep for examples.
"""
