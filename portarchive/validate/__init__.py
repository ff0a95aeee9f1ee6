"""The validator: looks at an archive, trusts nothing, judges clause by clause."""
