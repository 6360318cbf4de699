"""Where libprotobuf-c (1.4.1) judges otherwise than Python's protobuf, with the reason for each.

The tables are complete: a difference whose reason is not among them fails the run.
"""

import schema
from generate import read_varint
from schema import END, F, FIXED32, FIXED64, LEN, START, VARINT

# Canonical bytes of ours that it does not pack again as they were.
CANONICAL = {
    "map default": "leaves out a map entry's empty key or text: the same message",
    "NUL": "ends a string at its first NUL byte",
    "negative zero": "leaves out a -0.0 as if it were the default",
}

# Bytes that Python rejects and it accepts: what our decoder, which agrees with Python, finds wrong
# with them, and why that passes.
ACCEPTS = {
    "is not UTF-8": "does not check strings",
    "nested deeper": "has no bound on nesting",
    "the field number is 0": "takes field number 0 in a tag of more than one byte",
    "above 2^29": "takes field numbers above 2^29 - 1",
    "a tag has more than five": "takes longer tags",
    "a length has more than five": "takes longer lengths",
    "details[": "does not look into google.protobuf.Any",
}

# Bytes that Python accepts and it rejects, by what stands in them.
REJECTS = {
    "group": "knows no groups, not even to skip them",
    "wire type": "a known field under another wire type is an error, not an unknown field",
    "zero": "field number 0 is an error, where Python lets it pass in a message without fields",
    "merge": "fails to merge a message of oneofs, such as TimeRange, that comes again",
}

# Bytes that both accept and understand differently, by what stands in them.
VALUES = {
    "NUL": "ends a string at its first NUL byte",
    "merge": "a singular message that comes again is not merged as Python does",
    "oneof": "members of a oneof that follow each other are not merged as Python does",
    "negative zero": "leaves out a -0.0 as if it were the default",
    "wire type": "a bool is read under whatever wire type it comes",
    "wide bool": "a bool is true by bits that a varint has beyond its 64th",
}


def traits(data, shape, found):
    """Adds what stands in well-formed bytes and could be read differently; returns the traits."""
    seen = {}
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        f = shape.by_number.get(number) if shape else None
        value_start = position
        position = value_end(data, position, number, wire_type)
        payload = data[value_start:position]
        if wire_type == START:
            found.add("group")
            continue
        if number == 0:
            found.add("zero")
        if f is None:
            continue
        if wire_type != f.wire_type and not (f.is_packable and wire_type == LEN):
            found.add("wire type")
            continue
        look_inside(data, f, wire_type, value_start, payload, found)
        if f.oneof in seen.values() or (number in seen and f.shape and not f.is_repeated):
            found.add("oneof" if f.oneof else "merge")
        seen[number] = f.oneof or ""
    return found


def value_end(data, position, number, wire_type):
    if wire_type == VARINT:
        return read_varint(data, position)[1]
    if wire_type in (FIXED32, FIXED64):
        return position + (4 if wire_type == FIXED32 else 8)
    if wire_type == LEN:
        count, position = read_varint(data, position)
        return position + count
    while True:
        tag, position = read_varint(data, position)
        if tag & 7 == END:
            return position
        position = value_end(data, position, tag >> 3, tag & 7)


def look_inside(data, f, wire_type, start, payload, found):
    if wire_type == LEN:
        body = payload[read_varint(data, start)[1] - start:]
        if f.shape:
            traits(body, f.shape, found)
        elif f.type == F.TYPE_STRING and b"\x00" in body:
            found.add("NUL")
    elif f.type == F.TYPE_BOOL and read_varint(payload, 0)[0] >> 64:
        found.add("wide bool")
    elif f.type in (F.TYPE_FLOAT, F.TYPE_DOUBLE) and payload[-1] == 0x80 and not any(payload[:-1]):
        found.add("negative zero")


def of(number, data):
    return traits(data, schema.shape(schema.TYPES[number].DESCRIPTOR), set())


def blame(table, kind, found, tally):
    """Counts the first reason of `table` that is among `found`; False when there is none."""
    for name in table:
        if name in found:
            tally[f"{kind}: {name}"] += 1
            return True
    return False


def canonical(c, ours, batch, tally):
    """Our bytes must come back as they were, and its bytes must mean the same to us."""
    failures, again = [], []
    for (number, data), (kind, packed, _) in zip(batch, c.ask(batch)):
        tally["canonical"] += 1
        if kind != 0:
            failures.append((number, data, "libprotobuf-c rejects our canonical bytes"))
        elif packed != data:
            again.append((number, data, packed))
    answers = ours.ask([(number, packed) for number, _, packed in again])
    for (number, data, packed), (kind, first, _) in zip(again, answers):
        found = {"map default"} if kind == 0 and first == data else of(number, data)
        if not blame(CANONICAL, "canonical", found, tally):
            failures.append((number, data, f"libprotobuf-c packs {packed.hex()}"))
    return [(schema.NAMES[number], data.hex(), problem) for number, data, problem in failures]


def damaged(c, ours, numbered, answers, expectations, tally):
    """Counts each difference under its reason."""
    failures, again = [], []
    for (number, data), (kind, packed, _), answer, expected in zip(
            numbered, c.ask(numbered), answers, expectations):
        tally["damaged"] += 1
        python_accepts = expected[0] != "malformed"
        if python_accepts and kind == 0:
            again.append((number, data, packed, answer))
        elif python_accepts:
            if not blame(REJECTS, "rejects", of(number, data), tally):
                failures.append((number, data, "libprotobuf-c rejects what Python accepts"))
        elif kind == 0:
            text = (answer[1] + answer[2]).decode()
            if not blame(ACCEPTS, "accepts", [part for part in ACCEPTS if part in text], tally):
                failures.append((number, data, f"libprotobuf-c accepts in spite of {text}"))
    answers = ours.ask([(number, packed) for number, _, packed, _ in again])
    for (number, data, packed, before), after in zip(again, answers):
        if after[:2] != before[:2]:
            if not blame(VALUES, "values", of(number, data), tally):
                failures.append((number, data, f"libprotobuf-c packs {packed.hex()}"))
    return [(schema.NAMES[number], data.hex(), problem) for number, data, problem in failures]


def report(tally):
    print(f"\nlibprotobuf-c on {tally['canonical']} canonical messages: packs other bytes where it")
    show("canonical", CANONICAL, tally)
    print(f"libprotobuf-c on {tally['damaged']} random and damaged messages: accepts what Python"
          " rejects, it")
    show("accepts", ACCEPTS, tally)
    print("rejects what Python accepts, because there is")
    show("rejects", REJECTS, tally)
    print("understands otherwise, because")
    show("values", VALUES, tally)


def show(kind, table, tally):
    for name, reason in table.items():
        print(f"  {tally[f'{kind}: {name}']:>8}  {name}: {reason}")
