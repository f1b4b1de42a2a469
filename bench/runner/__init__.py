"""The conductor: suite to artifacts, to rounds of cases, to the store."""
