"""The servers that the tests talk to: real Dovecot and Cyrus, and a scripted one of our own."""
