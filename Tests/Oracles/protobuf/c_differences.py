"""Where libprotobuf-c judges otherwise than Python's protobuf, with the reason for each."""

# On canonical bytes of ours, which it unpacks and packs again.
CANONICAL = {
    "map default": "an entry's empty key or text is left out when packed; it means the same",
    "negative zero": "it counts as the default when packed",
    "NUL": "strings end at the first NUL byte",
}


def canonical(c, ours, batch, tally):
    return []


def damaged(c, batch, numbered, answers, expectations, tally):
    return []


def report(tally):
    pass
