# SPDX-License-Identifier: Apache-2.0
"""Those who tell what became of the world: the audit log of a cluster, the watch of an etcd server, the folders of this machine.

Each tells the same three ways, in facts, which are lines for people: what has happened since begin(); what an action of a
dry-run (or an effect of a run) would be, None where it is not theirs; and what they let pass because it only looks.
"""
import hashlib
import os
import re
import urllib.parse

import audit
import released

VERBS = {"apply": "patch", "evict": "create"}  # as the server calls them


class OnCluster:
    """Requests of one user. looks: commands, each as one text, of which the plan says that they change nothing."""

    def __init__(self, cluster, user="wherry", looks=()):
        self.cluster, self.user, self.looks = cluster, user, set(looks)
        self.kinds = audit.Kinds(cluster)
        self.releases = released.Releases(cluster, self.kinds)

    def begin(self):
        self.mark = self.cluster.audit_mark()
        self.revision = self.releases.begin()

    def happened(self):
        everything = self.cluster.audit(self.mark)
        events = [e for e in audit.requests(everything) if e["user"].get("username") == self.user and not self.only_looked(e)]
        vain = audit.without_effect(everything, self.revision)  # helm patches Secrets with stringData, always
        plain = [audit.told(e) for e in events if not e.get("userAgent", "").startswith("Helm/")]
        helms = [(e, audit.told(e)) for e in events if e.get("userAgent", "").startswith("Helm/") and e["auditID"] not in vain]
        return ["%s: %s" % (self.cluster.name, f) for f in plain + self.releases.happened(helms)]

    def only_looked(self, event):
        words = audit.command(event) if event["objectRef"].get("subresource") == "exec" else []
        return bool(words) and (audit.only_looks(words) or " ".join(words) in self.looks)

    def foretold(self, event):
        path = event["ref"].partition(" ")[2]
        first = path.partition("/")[0]
        if first == "here":
            return None
        if first == "release":
            facts = self.releases.foretold(event)
        elif first == "file":
            facts = [audit.line("exec", "pods", *path.split("/")[1:3])]
        else:
            kind, namespace, name = path.split("/", 2)
            name, _, sub = name.partition("#")
            facts = [self.kinds.line(VERBS.get(event["verb"], event["verb"]), kind, namespace, name, sub if sub != "exec" else "")]
        return ["%s: %s" % (self.cluster.name, f) for f in facts]


def looks_of(path):
    """What tells whether a file is as it was."""
    info = os.lstat(path)
    if os.path.islink(path):
        return "-> " + os.readlink(path)
    if os.path.isdir(path):
        return "folder %o" % info.st_mode
    with open(path, "rb") as f:
        return "%o %s" % (info.st_mode, hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else
                          hashlib.sha256(f.read()).hexdigest())


class InFolder:
    """All below a folder of this machine, but for what is below those that are left out."""

    def __init__(self, folder, without=()):
        self.folder, self.without = os.path.realpath(folder), [os.path.realpath(p) for p in without]

    def walk(self):
        got = {}
        for path, folders, files in os.walk(self.folder):
            folders[:] = [f for f in folders if os.path.join(path, f) not in self.without]
            got.update((p, looks_of(p)) for p in (os.path.join(path, f) for f in folders + files) if p not in self.without)
        return got

    def begin(self):
        self.before = self.walk()

    def happened(self):
        now = self.walk()
        changed = {p for p in now.keys() | self.before.keys() if now.get(p) != self.before.get(p)}
        new = {p for p in changed if p not in self.before or p not in now}  # of a folder that came or went, the folder alone
        return ["file %s" % p for p in changed if not any(p.startswith(other + "/") for other in new)]

    def foretold(self, event):
        target, _, path = event["ref"].partition(" ")
        first, _, rest = path.partition("/")
        if target not in ("file", "folder", "archive") and first not in ("here", "snapshot"):
            return None
        if event["verb"] == "fill":  # it gets its name by another action
            return []
        path = os.path.realpath(rest if first in ("here", "snapshot") else path)
        return [] if any(path.startswith(p + "/") for p in self.without) else ["file %s" % path]


class OnEtcd:
    """A server that nobody else writes to. Streams announce how many keys and transactions, all else one by one."""

    def __init__(self, name, server):
        self.name, self.server = name, server

    def begin(self):
        self.revision, self.rights = self.server.revision(), self.learn_rights()
        self.ranges, self.markers = {}, []  # as announced: {(from, to): what is told of it}

    def learn_rights(self):
        got = {}
        for what in ("role", "user"):
            for one in self.server.call("auth/%s/list" % what, {}).get(what + "s", ()):
                reply = self.server.call("auth/%s/get" % what, {("role" if what == "role" else "name"): one})
                got["%s/%s" % (what, one)] = reply.get("perm", reply.get("roles", []))
        return got

    def foretold(self, event):
        """To be called for all that was announced before happened(), which counts by ranges."""
        kind, _, path = event["ref"].partition(" ")[2].partition("/")
        path, diff = urllib.parse.unquote(path), event.get("diff")
        if kind == "snapshot":
            return None
        if kind == "markers":
            self.markers.append(path)
            return []
        if kind != "range":
            return ["%s: %s %s" % (self.name, event["verb"] if kind == "key" else "change", path if kind == "key" else kind + "/" + path)]
        about = self.ranges[tuple(path.split(".."))] = "%s: %s" % (self.name, path)
        self.markers += re.findall(r"a claim and cursors under (\S+) on", diff or "")
        counted = re.match(r"\+ (\d+) new, ~ (\d+) changed, - (\d+) removed, = (\d+) written again.* in (\d+) transactions", diff or "")
        if not counted:
            return [about + ": *"]
        *keys, transactions = map(int, counted.groups())
        perhaps = "? " * ("at most" in event["says"])
        return [about + ": a key"] * sum(keys) + [perhaps + self.name + ": a transaction of a stream"] * transactions

    def happened(self):
        facts, streamed = [], set()
        for revision, kind, key, _ in self.server.events(self.revision, self.server.revision()):
            key = key.decode(errors="backslashreplace")
            within = [about for (first, end), about in self.ranges.items() if first <= key and (key < end or end == "\0")]
            own = [m for m in self.markers if key.startswith(m)]
            if within or (own and kind == "PUT" and not key.startswith(own[0] + "claim/")):
                streamed.add(revision)  # one may bring a cursor alone
            if not own:
                facts.append(within[0] + ": a key" if within else "%s: %s %s" % (self.name, kind.lower(), key))
        now = self.learn_rights()
        return facts + [self.name + ": a transaction of a stream"] * len(streamed) + [
            "%s: change %s" % (self.name, who) for who in now.keys() | self.rights.keys() if now.get(who) != self.rights.get(who)]
