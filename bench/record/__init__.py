"""What was seen: immutable records that every floor below passes on. No I/O happens here."""
