# SPDX-License-Identifier: Apache-2.0
"""A reader of journals of its own, from the format's description: the suite does not ask the program about itself."""
import hashlib
import json

HEAD, ALIGN, HASH = 140, 512, 65


class Batch:
    """One good batch of the file: where it is, and its records."""

    def __init__(self, data, at):
        fields = data[at:at + HEAD].split()
        self.at, self.number, self.length, self.previous = at, int(fields[2]), int(fields[4]), fields[7].decode()
        self.end = at + (HEAD + self.length + HASH + ALIGN - 1) // ALIGN * ALIGN
        covered = data[at:at + HEAD + self.length]
        self.hash = hashlib.sha256(covered).hexdigest()
        if data[at + HEAD + self.length:at + HEAD + self.length + HASH - 1] != self.hash.encode():
            raise ValueError("the batch at %d does not match its hash" % at)
        self.body = covered[HEAD:]
        self.records = [json.loads(line) for line in self.body.splitlines()]


def batches(data, start=0):
    """Good batches from the start, up to the first that is not one."""
    at, got = start, []
    while data[at:at + 4] == b"WJ1 ":
        try:
            got.append(Batch(data, at))
        except (ValueError, IndexError):
            break
        at = got[-1].end
    return got


def records(path):
    """All records of a journal, or None where there is none."""
    try:
        with open(path, "rb") as f:
            found = batches(f.read())
    except FileNotFoundError:
        return None
    return [r for batch in found for r in batch.records] if found else None


def splice(data, victim, old, new):
    """Change a batch's body and give it a hash that fits: only the chain can tell. old and new are of one length."""
    batch = batches(data)[victim]
    if old not in batch.body or len(old) != len(new):
        raise ValueError("nothing to change in batch %d" % victim)
    covered = data[batch.at:batch.at + HEAD] + batch.body.replace(old, new, 1)
    digest = hashlib.sha256(covered).hexdigest().encode()
    return data[:batch.at] + covered + digest + data[batch.at + HEAD + batch.length + HASH - 1:]


def rewrite(data, change):
    """Every batch's body, a function of what it was and as long, in a chain that holds again: the journal of another wherry."""
    out, end, previous = b"", 0, None
    for batch in batches(data):
        head, body = data[batch.at:batch.at + HEAD], change(batch.body)
        if len(body) != batch.length:
            raise ValueError("batch %d would be of another length" % batch.number)
        covered = (head.replace(batch.previous.encode(), previous, 1) if previous else head) + body
        previous = hashlib.sha256(covered).hexdigest().encode()
        out += covered + previous + data[batch.at + HEAD + batch.length + HASH - 1:batch.end]
        end = batch.end
    return out + data[end:]
