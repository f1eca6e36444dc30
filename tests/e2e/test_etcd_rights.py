#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Users and roles on real servers of every version that is here: fences that hold, what is refused, and what is put back."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Etcd, KV, Wherry, b64, end_of, equal, expect, find_etcd, main, scratch

HEAD = """wherry: v1
name: rights
params:
  url: {type: string, required: true}
  password: {type: string, secret: true, required: true}
  kube: {type: string, secret: true, default: null}
targets:
  a: {kind: etcd, endpoints: ["${{ params.url }}"], user: root, password: "${{ params.password }}"}
steps:
"""
KINDS = {"read": "READ", "write": "WRITE", "readwrite": "READWRITE"}
FENCE = "{id: fence, uses: etcd.fence, with: {on: a, role: kube, prefix: /registry/%s}%s}"
CHECK = "{id: look, uses: etcd.fence-check, with: {on: a, role: kube, prefix: /registry/}}"
THAW = "{uses: etcd.grant, with: {in: a, role: kube, permissions: '${{ steps.look.outputs.permissions }}', only: true}}"


class Guarded:
    """A server with authentication: root, and kube, whose role may write under /registry/."""

    def __init__(self, folder, version="3.4", auth=True):
        self.folder = folder
        self.server = Etcd(folder, "a", binary=find_etcd(version), options=["--bcrypt-cost", "4"])
        self.w = Wherry(os.path.join(folder, "state"), env={"WHERRY_PARAM_PASSWORD": "rootpw"})
        self.n = 0
        self.root = KV(self.server.url)
        self.user("root", "rootpw", "root")
        self.role("kube", ("readwrite", "/registry/", True))
        self.user("kube", "kubepw", "kube")
        if auth:
            self.enable()

    def enable(self):
        self.root.call("auth/enable", {})
        self.root = self.server.login("root", "rootpw")
        self.kube = self.server.login("kube", "kubepw")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()

    def role(self, name, *grants):
        if name not in self.root.call("auth/role/list", {}).get("roles", ()):
            self.root.call("auth/role/add", {"name": name})
        for may, key, prefix in grants:
            end = end_of(key) if prefix is True else prefix or ""
            self.root.call("auth/role/grant", {"name": name, "perm": {"permType": KINDS[may], "key": b64(key), "range_end": b64(end)}})

    def user(self, name, password, *roles):
        self.root.call("auth/user/add", {"name": name, "password": password})
        for role in roles:
            self.root.call("auth/user/grant", {"user": name, "role": role})

    def rights(self, role="kube"):
        """As the server tells it, in its order."""
        got = self.root.call("auth/role/get", {"role": role}).get("perm", [])
        return [(p.get("permType", "READ"), p.get("key"), p.get("range_end", "")) for p in got]

    def file(self, steps, finally_=()):
        self.n += 1
        path = os.path.join(self.folder, "plan-%d.yaml" % self.n)
        with open(path, "w") as f:
            f.write(HEAD + "".join("  - %s\n" % s for s in steps))
            f.write("finally:\n" * bool(finally_) + "".join("  - %s\n" % s for s in finally_))
        return path

    def run(self, *steps, code=0, finally_=(), env=None):
        return self.w.ok("run", self.file(steps, finally_), "--yes", "--run-id", "r%d" % self.n, "--format", "plain",
                         "-p", "url=" + self.server.url, code=code, env=env)

    def plan(self, *steps, code=0, env=None):
        return self.w.ok("plan", self.file(steps), "--format", "json", "-p", "url=" + self.server.url, code=code, env=env)


def may_write(kv, key="/registry/x"):
    try:
        kv.put(key, "x")
        return True
    except RuntimeError as e:
        expect("permission denied" in str(e), "another error: %s" % e)
        return False


def each(body):
    """The test on every version that is here."""
    def run():
        for version in ("3.4", "3.5", "3.6"):
            if find_etcd(version):
                with scratch() as folder, Guarded(folder, version) as g:
                    body(g)
    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run


@each
def fences(g):
    """The dry-run says what the run does: reads and watches go on, writes do not, and the thaw gives the same back."""
    g.role("kube", ("read", "/other/", True), ("readwrite", "/registry/lock", False), ("readwrite", "/registry/z", "/registry/zz"))
    before = g.rights()
    plan = [e for e in g.plan(CHECK, FENCE % ("", ", needs: [look]")).json() if e["event"] == "action"]
    equal([(e["step"], e["verb"]) for e in plan], [("fence", "fence")], "announced")
    equal(plan[0]["diff"].count("+ "), 3, "changed permissions that the dry-run shows: " + plan[0]["diff"])
    equal(g.rights(), before, "permissions after the dry-run")
    expect(may_write(g.kube), "kube cannot write before the fence")
    out = g.run(FENCE % ("", ""), "{id: n, uses: note, with: {message: 'at ${{ steps.fence.outputs.revision }}.'}}")
    expect("at %d." % g.root.revision() in out.err + out.out, "the fence's revision: %s" % out)
    expect("may still write" in out.err and "'root'" in out.err, "root is not named: %s" % out)
    for key in ("/registry/x", "/registry/lock", "/registry/zoo"):
        expect(not may_write(g.kube, key), "kube writes %s through the fence" % key)
    equal(g.kube.values("/registry/")[b"x"], b"x", "what kube reads")
    equal([p[1:] for p in g.rights()], [p[1:] for p in before], "ranges, in order")
    out = g.run(CHECK, FENCE % ("", ", needs: [look]"))
    expect("unchanged" in out.err, "a fence over a fence: %s" % out)
    g.role("kube", ("readwrite", "/registry/", True), ("readwrite", "/registry/lock", False), ("readwrite", "/registry/z", "/registry/zz"))
    equal(g.rights(), before, "permissions before the second round")
    out = g.run(CHECK, FENCE % ("", ", needs: [look], undo: " + THAW), "{id: bad, uses: assert, with: {that: false, message: no}, needs: [fence]}",
                finally_=["{id: thaw, uses: undo, with: {step: fence}, when: '${{ steps.fence.ran }}'}"], code=1)
    equal(g.rights(), before, "permissions after the thaw: %s" % out)
    expect(may_write(g.kube), "kube cannot write after the thaw")
    out = g.run(CHECK, FENCE % ("", ", needs: [look]"), "{id: bad, uses: assert, with: {that: false, message: no}, needs: [fence]}",
                finally_=["{id: thaw, uses: undo, with: {step: fence}}"], code=1)
    equal(g.rights(), before, "permissions after the thaw by itself: %s" % out)
    g.run(CHECK, FENCE % ("", ", needs: [look]"))
    expect(not may_write(g.kube), "kube writes behind the fence")
    g.w.ok("rollback", "r%d" % g.n, "--yes")
    equal(g.rights(), before, "permissions after the rollback")
    g.run(CHECK, FENCE % ("", ", needs: [look]"))
    g.role("kube", ("readwrite", "/more/", True))
    out = g.w.ok("rollback", "r%d" % g.n, "--yes", "--format", "plain", code=3)
    expect("'a role/kube' was changed by someone else since step 'fence': permissions" in out.err, out)


@each
def who_passes(g):
    """Who would pass the fence is found and named: other roles, wider ranges, the wrong role; allowed only when asked."""
    g.role("backup", ("readwrite", "/", True))
    g.user("bob", "bobpw", "backup")
    before = g.rights(), g.rights("backup")
    for step in (CHECK, FENCE % ("", "")):
        for command in (g.plan, g.run):
            out = command(step, code=1)
            expect("user 'bob' by role 'backup' ('/*')" in out.err + out.out, "bob is not named: %s" % out)
    equal((g.rights(), g.rights("backup")), before, "permissions after the refusals")
    out = g.run(FENCE % (", others: allow", ""))
    expect("'bob' (role 'backup')" in out.err and "'root'" in out.err, "who may still write: %s" % out)
    expect(not may_write(g.kube) and may_write(g.server.login("bob", "bobpw")), "the fence is not the role's alone")
    g.run("{id: g, uses: etcd.grant, with: {in: a, role: kube, permissions: [{prefix: /reg, may: readwrite}]}}",
          "{id: u, uses: etcd.user, with: {in: a, user: bob, only: true}}")
    out = g.run(FENCE % ("", ""), code=1)
    expect("'/reg*'" in out.err and "wider: allow" in out.err, "the wider range is not named: %s" % out)
    g.run(FENCE % (", wider: allow", ""))
    expect(not may_write(g.kube) and not may_write(g.kube, "/regular"), "the wider range is not fenced")
    for role, words in (("backup", None), ("nobody", "there is no role 'nobody'"), ("elsewhere", "no permission under")):
        if role == "elsewhere":
            g.role("elsewhere", ("readwrite", "/elsewhere/", True))
        if words:
            out = g.run("{id: f, uses: etcd.fence, with: {on: a, role: %s, prefix: /registry/}}" % role, code=1)
            expect(words in out.err, "%s: %s" % (role, out))


@each
def one_key_two_ranges(g):
    """Two permissions that begin with one key: older servers add a third instead of changing one. The fence holds all the same."""
    g.role("kube", ("readwrite", "/registry/", False), ("readwrite", "/registry/", "/registry/m"))
    before = sorted(g.rights())
    g.run(CHECK, FENCE % ("", ", needs: [look]"))
    equal({p[0] for p in g.rights()}, {"READ"}, "permissions behind the fence: %s" % g.rights())
    expect(not may_write(g.kube) and not may_write(g.kube, "/registry/") and not may_write(g.kube, "/registry/n"), "kube writes")
    g.run("{id: g, uses: etcd.grant, with: {in: a, role: kube, only: true, permissions: [%s]}}" % ", ".join(
        "{prefix: /registry/, may: readwrite}" if i == 0 else "{key: /registry/, end: '%s', may: readwrite}" % i for i in (0, "", "/registry/m")))
    equal(sorted(g.rights()), before, "permissions")


@each
def write_only(g):
    """A permission to write alone does not become one to read: it goes, and comes back."""
    g.run("{id: g, uses: etcd.grant, with: {in: a, role: kube, only: true, permissions: [{prefix: /registry/, may: write}, "
          "{prefix: /registry/r, may: read}]}}")
    before = g.rights()
    g.run(FENCE % ("", ""))
    equal([p[0] for p in g.rights()], ["READ"], "permissions behind the fence")
    expect(not may_write(g.kube), "kube writes")
    g.run("{id: g, uses: etcd.grant, with: {in: a, role: kube, permissions: [{prefix: /registry/, may: write}]}}")
    equal(g.rights(), before, "permissions")


@each
def hand_over(g):
    """Roles and users for a destination: made, unchanged the second time, a password changed only when asked, never shown."""
    steps = ("{id: role, uses: etcd.grant, with: {in: a, role: tenant, permissions: [{prefix: /t/, may: readwrite}, {key: /one, may: read}]}}",
             "{id: user, uses: etcd.user, with: {in: a, user: tina, roles: [tenant], password: '${{ params.kube }}'}, needs: [role]}",
             "{id: cert, uses: etcd.user, with: {in: a, user: cert, roles: [tenant]}, needs: [role]}")
    env = {"WHERRY_PARAM_KUBE": "s3cretOne"}
    before = g.root.call("auth/role/list", {})["roles"]
    plan = g.plan(*steps, env=env)
    equal([e["step"] for e in plan.json() if e["event"] == "action"], ["role", "user", "cert"], "announced")
    equal(g.root.call("auth/role/list", {})["roles"], before, "roles after the dry-run")
    out = g.run(*steps, env=env)
    equal(g.rights("tenant"), [("READ", b64("/one"), ""), ("READWRITE", b64("/t/"), b64("/t0"))], "the role")
    expect(may_write(g.server.login("tina", "s3cretOne"), "/t/x"), "tina cannot write")
    again = g.run(*steps, env=env)
    equal(len(re.findall(r": unchanged", again.err)), 3, "the second time: %s" % again)
    other = {"WHERRY_PARAM_KUBE": "s3cretTwo"}
    g.run(*steps, env=other)
    g.server.login("tina", "s3cretOne")
    change = steps[:1] + (steps[1].replace("}, needs", ", change_password: true}, needs"),)
    g.run(*change, env=other)
    g.server.login("tina", "s3cretTwo")
    again = g.run(*change, env=other)
    expect("change the password" not in again.err or "unchanged" in again.err, "the password again: %s" % again)
    for word in ("s3cretOne", "s3cretTwo"):
        expect(word not in out.err + out.out + plan.out, "a password is shown")
        for folder, _, files in os.walk(g.w.state):
            for name in files:
                expect(word.encode() not in open(os.path.join(folder, name), "rb").read(), "a password is in %s/%s" % (folder, name))
    g.run("{id: u, uses: etcd.user, with: {in: a, user: tina, roles: [kube], only: true}}")
    equal(g.root.call("auth/user/get", {"name": "tina"})["roles"], ["kube"], "tina's roles")
    out = g.run("{id: u, uses: etcd.user, with: {in: a, user: tina, roles: [none-such]}}", code=1)
    expect("role name not found" in out.err, "an unknown role: %s" % out)


def auth_off():
    """Without authentication a fence stops nobody: refused, with the way out; roles and users can still be made."""
    for version in ("3.4", "3.5", "3.6"):
        if not find_etcd(version):
            continue
        with scratch() as folder, Guarded(folder, version, auth=False) as g:
            before = g.rights()
            for command in (g.plan, g.run):
                out = command(FENCE % ("", ""), code=1)
                expect("authentication is off" in out.err + out.out and "auth enable" in out.err + out.out, "the refusal: %s" % out)
            equal(g.rights(), before, "permissions")
            g.run("{id: g, uses: etcd.grant, with: {in: a, role: new, permissions: [{prefix: '', may: read}]}}",
                  "{id: u, uses: etcd.user, with: {in: a, user: new, roles: [new]}, needs: [g]}")
            equal(g.rights("new"), [("READ", "AA==", "AA==")], "the new role")


def not_root():
    """Who is not root is told that root is needed."""
    with scratch() as folder, Guarded(folder) as g:
        path = g.file([FENCE % ("", "")])
        text = open(path).read().replace("user: root", "user: kube")
        open(path, "w").write(text)
        out = g.w.ok("run", path, "--yes", "-p", "url=" + g.server.url, code=1, env={"WHERRY_PARAM_PASSWORD": "kubepw"})
        expect("permission denied" in out.err and "role root" in out.err, "the refusal: %s" % out)


if __name__ == "__main__":
    main(fences, who_passes, one_key_two_ranges, write_only, hand_over, auth_off, not_root)
