"""The demo: the sample mailbox on an embedded IMAP server, so that nobody needs an account to try.

Owns finding the samples and running the server. Refuses to be a mail server for anything else: it
listens on the loopback interface only, keeps everything in memory, and dies with its user.
"""
