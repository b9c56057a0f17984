"""Computes for ever in what Python programs do: JSON, regular expressions, compression, sorting, through functions,
methods, a generator and callbacks from C. Says "ready" first."""

import json
import re
import zlib


def parse(text):
    return json.loads(text)


class Report:
    def __init__(self, rows):
        self.rows = rows

    def words(self):
        for row in self.rows:
            yield from re.findall(r"[a-z]+", row["text"])

    def ranked(self):
        return sorted(self.words(), key=lambda word: (len(word), word))


def work():
    rows = [{"text": "the quick brown fox jumps over the lazy dog %d" % i} for i in range(200)]
    text = json.dumps(rows)
    return zlib.compress(" ".join(Report(parse(text)).ranked()).encode())


print("ready", flush=True)
while True:
    work()
