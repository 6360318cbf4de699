"""Talks to a program that decodes batches of messages; the framing is in WireTestee/main.swift."""

import struct
import subprocess


class Testee:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, batch):
        """[(type number, message)] → [(kind, first, second)]"""
        parts = []
        for number, data in batch:
            parts.append(struct.pack("<BI", number, len(data)))
            parts.append(data)
        body = b"".join(parts)
        self.process.stdin.write(struct.pack("<I", len(body)) + body)
        self.process.stdin.flush()
        (size,) = struct.unpack("<I", self.read(4))
        return self.parse(self.read(size), len(batch))

    def read(self, count):
        data = self.process.stdout.read(count)
        if len(data) < count:
            raise RuntimeError(f"the testee died: {self.process.wait()}")
        return data

    @staticmethod
    def parse(data, count):
        answers = []
        position = 0
        for _ in range(count):
            kind, length = struct.unpack_from("<BI", data, position)
            middle = position + 5 + length
            first = data[position + 5:middle]
            (length,) = struct.unpack_from("<I", data, middle)
            position = middle + 4 + length
            answers.append((kind, first, data[middle + 4:position]))
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.wait()
