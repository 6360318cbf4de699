"""Random messages as bytes, and damage that keeps enough structure to reach deep into a decoder."""

import struct

from schema import ANY_CONTENTS, FIXED32, FIXED64, F, LEN, START, VARINT, shape

NUMBERS = (
    0, 1, 2, 7, 100, 127, 128, 300, 16383, 16384, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1,
    2**53, 2**63 - 1, 2**63, 2**64 - 1,
)
FLOATS = (0x00000000, 0x80000000, 0x3F800000, 0xBF000000, 0x7F800000, 0xFF800000, 0x7FC00000,
          0x7FA00001, 0x00000001, 0x3E99999A)
DOUBLES = (0, 1 << 63, 0x3FF0000000000000, 0xBFE0000000000000, 0x7FF0000000000000,
           0x7FF8000000000000, 0x7FF4000000000001, 1, 0x3FD3333333333333)
STRINGS = ("", "a", "b", "title", "files", "english", "default", "Ärger", "日本", "z" * 130,
           "emoji \U0001F600", "e\u0301", "\u00e9", "a\"b", "\t")
BAD_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80",
            b"\xc1\xbf", b"\xe0\x80\xaf", b"ok\xfe", b"\xf0\x80\x80\xaf")


def varint(value, width=0):
    """A varint of at least `width` bytes: more than needed is legal up to ten."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    while len(out) < width:
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def field(number, wire_type, payload):
    if wire_type == LEN:
        return varint(number << 3 | LEN) + varint(len(payload)) + payload
    return varint(number << 3 | wire_type) + payload


def scalar(rng, f):
    if f.type == F.TYPE_FLOAT:
        return struct.pack("<I", rng.choice(FLOATS) if rng.random() < .5 else rng.getrandbits(32))
    if f.type == F.TYPE_DOUBLE:
        return struct.pack("<Q", rng.choice(DOUBLES) if rng.random() < .5 else rng.getrandbits(64))
    if f.type == F.TYPE_BOOL:
        return varint(1 if rng.random() < .9 else rng.choice(NUMBERS))
    if f.type == F.TYPE_ENUM:
        if rng.random() < .985:
            return varint(rng.choice(f.enum))
        return varint(rng.choice((99, 2**64 - 1, 11, 256, 2**32, 2**32 + 1)))
    if f.type == F.TYPE_UINT32:
        return varint(rng.getrandbits(32) if rng.random() < .3 else rng.choice(NUMBERS[:13]))
    if rng.random() < .3:
        return varint(rng.getrandbits(rng.randrange(1, 65)))
    return varint(rng.choice(NUMBERS))


def text(rng):
    if rng.random() < .004:
        return b"nul\x00inside"
    return rng.choice(STRINGS).encode()


def value(rng, f, depth):
    """One value of a field as it stands behind its tag; strings and messages without length."""
    if f.type == F.TYPE_STRING:
        return text(rng)
    if f.type == F.TYPE_BYTES:
        return rng.randbytes(rng.choice((0, 1, 4, 8, 12)))
    if f.type == F.TYPE_MESSAGE:
        return message(rng, f.shape, depth + 1)
    return scalar(rng, f)


def message(rng, s, depth=0):
    """A message of shape `s`, mostly one that has a meaning."""
    special = SPECIAL.get(s.name)
    if special and rng.random() < .97:
        return special(rng, s, depth)
    parts = []
    presence = .6 if depth < 4 else .25
    for f in s.plain:
        if s.is_map_entry:
            if rng.random() < .97:
                parts.append(field(f.number, f.wire_type, value(rng, f, depth)))
        elif f.is_repeated:
            if rng.random() < presence:
                repeat(rng, f, depth, parts)
        elif rng.random() < presence:
            parts.append(field(f.number, f.wire_type, value(rng, f, depth)))
    for members in s.oneofs.values():
        needed = len(s.oneofs) == 1 and not s.plain
        if rng.random() < (.985 if needed else presence):
            f = rng.choice(members)
            parts.append(field(f.number, f.wire_type, value(rng, f, depth)))
    if rng.random() < .1:
        rng.shuffle(parts)
    return b"".join(parts)


def repeat(rng, f, depth, parts):
    count = rng.choice((1, 1, 2, 3)) if depth < 5 else 1
    if f.is_packable and rng.random() < .8:
        payload = b"".join(scalar(rng, f) for _ in range(count))
        parts.append(field(f.number, LEN, payload))
        return
    for _ in range(count):
        parts.append(field(f.number, f.wire_type, value(rng, f, depth)))


def dense_vector(rng, s, depth):
    count = rng.randrange(0, 6)
    if rng.random() < .5:
        payload = b"".join(scalar(rng, s.by_number[1]) for _ in range(count))
        return field(1, LEN, payload) if payload else b""
    layout = rng.choice((0, 1, 2))
    payload = rng.randbytes(count * (4, 2, 1)[layout])
    parts = [field(2, LEN, payload)]
    if layout or rng.random() < .2:
        parts.append(field(3, VARINT, varint(layout)))
    if rng.random() < .2:
        parts.reverse()
    return b"".join(parts)


def sparse_vector(rng, s, depth):
    count = rng.randrange(0, 5)
    if not count:
        return b""
    indices = b"".join(scalar(rng, s.by_number[1]) for _ in range(count))
    values = b"".join(scalar(rng, s.by_number[2]) for _ in range(count))
    return field(1, LEN, indices) + field(2, LEN, values)


def filter_tree(rng, s, depth):
    numbers = range(1, 14) if depth < 6 else range(4, 13)
    f = s.by_number[rng.choice(numbers)]
    return field(f.number, LEN, value(rng, f, depth))


def field_list(rng, s, depth):
    """A schema: names mostly differ."""
    parts = []
    for f in s.fields:
        names = rng.sample(STRINGS, rng.choice((0, 1, 2, 3)))
        for name in names:
            body = message(rng, f.shape, depth + 1)
            parts.append(field(f.number, LEN, body + field(1, LEN, name.encode())))
    return b"".join(parts)


def any_detail(rng, s, depth):
    name = rng.choice(tuple(ANY_CONTENTS))
    body = message(rng, shape(ANY_CONTENTS[name].DESCRIPTOR), depth + 1)
    if rng.random() < .3:
        body = damage(rng, body, shape(ANY_CONTENTS[name].DESCRIPTOR))
    prefix = rng.choice(("type.googleapis.com/", "type.googleapis.com/", "", "x/y/", "/"))
    if rng.random() < .1:
        name += rng.choice(("x", "/", ""))
    return field(1, LEN, (prefix + name).encode()) + field(2, LEN, body)


SPECIAL = {
    "kyrodb.v2.DenseVector": dense_vector,
    "kyrodb.v2.SparseVector": sparse_vector,
    "kyrodb.v2.Filter": filter_tree,
    "kyrodb.v2.Schema": field_list,
    "google.protobuf.Any": any_detail,
}


# Damage


def split(data):
    """The fields of well-formed bytes: (number, wire type, payload), nil when they are not."""
    fields = []
    position, end = 0, len(data)
    try:
        while position < end:
            tag, position = read_varint(data, position)
            wire_type = tag & 7
            start = position
            if wire_type == VARINT:
                _, position = read_varint(data, position)
            elif wire_type == FIXED64:
                position += 8
            elif wire_type == FIXED32:
                position += 4
            elif wire_type == LEN:
                count, start = read_varint(data, position)
                position = start + count
            else:
                return None
            if position > end:
                return None
            fields.append((tag >> 3, wire_type, data[start:position]))
    except IndexError:
        return None
    return fields


def read_varint(data, position):
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def unknown(rng):
    """A field that no message has, or that none may have."""
    number = rng.choice((17, 31, 100, 2047, 2**28, 2**29 - 1, 2**29 - 1, 0, 2**29, 2**29 + 5))
    kind = rng.randrange(9)
    if kind == 0:
        return field(number, VARINT, varint(rng.choice(NUMBERS), rng.choice((0, 0, 10, 11))))
    if kind == 1:
        return field(number, FIXED64, rng.randbytes(8))
    if kind == 2:
        return field(number, FIXED32, rng.randbytes(4))
    if kind == 3:
        return field(number, LEN, rng.randbytes(rng.randrange(9)))
    if kind == 4:
        return varint(number << 3 | rng.choice((6, 7, 4)), rng.choice((0, 0, 5, 6)))
    inside = b"" if kind < 7 else unknown(rng)
    closing = number if rng.random() < .85 else number ^ 1
    return varint(number << 3 | START) + inside + varint(closing << 3 | 4)


def nest(rng, s):
    """Depth around the bounds: of protobuf for groups, of filters for negations."""
    if s.name == "kyrodb.v2.Filter" and rng.random() < .7:
        data = message(rng, s, 9)
        for _ in range(rng.choice((2, 29, 30, 31, 32, 33, 60, 94, 97, 98, 99, 100, 101))):
            number = rng.choice((3, 3, 13))
            if rng.random() < .02:
                data, number = field(1, LEN, data), rng.choice((1, 2))
            data = field(number, LEN, data)
        return data
    depth = rng.choice((2, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102))
    return b"\xfb\x01" * depth + b"\xfc\x01" * depth


def repack(rng, f, payload):
    """The same repeated scalars, packed otherwise."""
    values = []
    position = 0
    size = {FIXED32: 4, FIXED64: 8}.get(f.wire_type)
    while position < len(payload):
        if size:
            end = position + size
        else:
            _, end = read_varint(payload, position)
        values.append(payload[position:end])
        position = end
    if rng.random() < .5:
        return b"".join(field(f.number, f.wire_type, v) for v in values)
    cut = rng.randrange(len(values) + 1)
    return (field(f.number, LEN, b"".join(values[:cut]))
            + field(f.number, LEN, b"".join(values[cut:])))


def flip(rng, data):
    if not data:
        return rng.randbytes(1)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        out[rng.randrange(len(out))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def damage(rng, data, s):
    """One change, at a level chosen at random; lengths around it stay right."""
    fields = split(data)
    if not fields:
        return data + unknown(rng) if rng.random() < .5 else flip(rng, data)
    index = rng.randrange(len(fields))
    number, wire_type, payload = fields[index]
    f = s.by_number.get(number)
    if f and f.shape and wire_type == LEN and rng.random() < .65:
        middle = field(number, LEN, damage(rng, payload, f.shape))
    else:
        middle = change(rng, s, f, number, wire_type, payload)
    out = [field(*x) for x in fields]
    out[index] = middle
    if rng.random() < .15:
        rng.shuffle(out)
    return b"".join(out)


def change(rng, s, f, number, wire_type, payload):
    """What becomes of one field."""
    whole = field(number, wire_type, payload)
    kind = rng.randrange(16)
    if kind == 0:
        return b""
    if kind == 1:
        return whole + whole
    if kind == 2:
        return varint(number << 3 | rng.randrange(8)) + payload
    if kind == 3:
        tail = whole[len(varint(number << 3)):]
        return varint(number << 3 | wire_type, rng.randrange(2, 7)) + tail
    if kind == 4:
        width = rng.randrange(2, 12)
        if wire_type == LEN:
            return varint(number << 3 | LEN) + varint(len(payload), width) + payload
        if wire_type == VARINT:
            return field(number, VARINT, varint(rng.choice(NUMBERS), width))
        return whole
    if kind == 5 and f and f.is_packable and wire_type == LEN:
        try:
            return repack(rng, f, payload)
        except IndexError:  # damaged before
            return whole
    if kind == 6:
        return whole + unknown(rng)
    if kind == 7 and wire_type == LEN:
        return field(number, LEN, rng.randbytes(rng.randrange(6)))
    if kind == 8 and wire_type == LEN:
        return field(number, LEN, payload[:rng.randrange(len(payload) + 1)])
    if kind == 9 and wire_type == LEN:
        announced = max(0, len(payload) + rng.choice((-2, -1, 1, 2, 5, 2**31, 2**32, 2**63)))
        return varint(number << 3 | LEN) + varint(announced) + payload
    if kind == 10 and f and f.type == F.TYPE_STRING:
        return field(number, LEN, rng.choice(BAD_UTF8))
    if kind == 11 and f and f.shape:
        # Another message of the kind: merges, or replaces in a map.
        return whole + field(number, LEN, message(rng, f.shape, 4))
    if kind == 12 and s.oneofs:
        other = rng.choice(rng.choice(tuple(s.oneofs.values())))
        return whole + field(other.number, other.wire_type, value(rng, other, 4)) + (
            whole if rng.random() < .3 else b"")
    if kind == 13 and rng.random() < .2:
        return whole + nest(rng, s)
    if kind == 14 and f:
        return whole + field(number, f.wire_type, value(rng, f, 4))
    if kind == 15 and f and f.is_packable and wire_type == LEN:
        return field(number, LEN, payload + rng.randbytes(rng.randrange(1, 4)))
    return field(number, wire_type, flip(rng, payload)) if payload else whole


def variant(rng, data, other, s):
    """A message as a damaged or careless peer might send it."""
    kind = rng.random()
    if kind < .70:
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = damage(rng, data, s)
        return data
    if kind < .78:
        return flip(rng, data)
    if kind < .86:
        return data[:rng.randrange(len(data) + 1)]
    if kind < .92:
        return data + other
    if kind < .95:
        return rng.randbytes(rng.randrange(24))
    if kind < .97:
        start = rng.randrange(len(data) + 1)
        return data[:start] + rng.randbytes(rng.randrange(1, 4)) + data[start:]
    if kind < .985 and s.name == "kyrodb.v2.Filter":
        return nest(rng, s)
    return data + unknown(rng)
