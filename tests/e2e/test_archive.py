#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""archive.pack and archive.unpack: the same in gives the same out, nothing leaves the folder, nothing is half there."""
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import stat
import sys
import tarfile
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Wherry, equal, expect, main, scratch


class World:
    def __init__(self, folder):
        self.folder, self.w, self.n = folder, Wherry(os.path.join(folder, "state")), 0

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, *steps, verb="run", more=(), **options):
        """steps: (uses, inputs); each needs the one before it."""
        self.n += 1
        self.id = "run%d" % self.n
        lines = [json.dumps({"id": "s%d" % i, "uses": uses, "with": inputs, "needs": ["s%d" % (i - 1)] if i else []}) for i, (uses, inputs) in
                 enumerate(steps)]
        with open(self.path("plan.yaml"), "w") as f:
            f.write("wherry: v1\nname: t\nsummary: A test.\nsteps:\n" + "".join("  - %s\n" % line for line in lines))
        args = ["--yes", "--run-id", self.id] if verb == "run" else []
        return self.w(verb, self.path("plan.yaml"), *args, *more, **options)

    def outputs(self, step):
        dump = self.w.ok("journal", "dump", self.id).out
        found = re.search(r'^\S+ \S+ end .*step="%s".* val=(\{.*)$' % step, dump, re.M)
        return json.JSONDecoder().raw_decode(found.group(1))[0]

    def tree(self, *names):
        """{path: (type, mode, content)} of a folder."""
        found, root = {}, self.path(*names)
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = os.path.join(folder, name)
                st = os.lstat(path)
                content = os.readlink(path) if stat.S_ISLNK(st.st_mode) else open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None
                found[os.path.relpath(path, root)] = (stat.S_IFMT(st.st_mode), None if stat.S_ISLNK(st.st_mode) else st.st_mode & 0o777, content)
        return found

    def leftovers(self):
        return [n for n in os.listdir(self.folder) if n.startswith(".wherry-")]


def with_world(test):
    def run():
        with scratch() as folder:
            world = World(folder)
            if "archive.pack" not in world.w.ok("steps").out:
                return "built without libarchive"
            return test(world)
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def fill(root):
    os.makedirs(os.path.join(root, "a", "empty"))
    for name, data, mode in (("a/x", b"x" * 100000, 0o640), ("b", b"", 0o755), ("ä ö\n", b"\0\xff", 0o600), ("a/" + "n" * 200, b"long", 0o644)):
        with open(os.path.join(root, name), "wb") as f:
            f.write(data)
        os.chmod(os.path.join(root, name), mode)
    os.symlink("a/x", os.path.join(root, "link"))
    os.symlink("../b", os.path.join(root, "a", "up"))


@with_world
def there_and_back(world):
    """What was packed is unpacked as it was; others can read it; the same folder always makes the same archive."""
    fill(world.path("in"))
    for kind in ("tar", "tar.gz", "tar.zst", "tar.xz", "tgz"):
        for i in (1, 2):
            os.utime(world.path("in", "b"), (i * 1000, i * 1000))
            done = world.run(("archive.pack", {"from": world.path("in") + "/", "to": world.path("%d.%s" % (i, kind))}))
            equal((done.code, os.stat(world.path("%d.%s" % (i, kind))).st_mode & 0o777), (0, 0o600), str(done))
        packed = open(world.path("1." + kind), "rb").read()
        equal(packed, open(world.path("2." + kind), "rb").read(), "two packings as " + kind)
        out = world.outputs("s0")
        equal((out["size"], out["sha256"], out["entries"]), (len(packed), hashlib.sha256(packed).hexdigest(), len(world.tree("in"))), kind)
        done = world.run(("archive.unpack", {"from": world.path("1." + kind), "to": world.path("out-" + kind), "sha256": out["sha256"]}))
        equal(done.code, 0, str(done))
        equal(world.tree("out-" + kind), world.tree("in"), kind)
        back = world.outputs("s0")
        equal((back["entries"], back["size"], back["sha256"]), (len(world.tree("in")), 100000 + 6, out["sha256"]), kind)
        if kind != "tar.zst":
            with tarfile.open(world.path("1." + kind)) as t:
                expect({"ä ö\n", "link", "a/empty"} <= {n.rstrip("/") for n in t.getnames()}, str(t.getnames()))
    equal(world.leftovers(), [], "left over")


@with_world
def what_is_there(world):
    """What is there already is never changed: the same is fine, anything else is refused."""
    fill(world.path("in"))
    pack = ("archive.pack", {"from": world.path("in"), "to": world.path("x.tar")})
    unpack = ("archive.unpack", {"from": world.path("x.tar"), "to": world.path("out")})
    for _ in (1, 2):
        equal(world.run(pack, unpack).code, 0, "the same again")
    with open(world.path("out", "b"), "w") as f:
        f.write("mine")
    before = world.tree("out")
    for verb in ("run", "plan"):
        done = world.run(unpack, verb=verb)
        expect(done.code == 1 and "is something else; nothing was changed" in done.err + done.out, str(done))
    os.remove(world.path("in", "b"))
    done = world.run(pack)
    expect(done.code == 1 and "is something else; nothing was changed" in done.err, str(done))
    done = world.run(("archive.unpack", {**unpack[1], "to": world.path("in", "link")}))
    expect(done.code == 1 and "symbolic link" in done.err, str(done))
    equal((world.tree("out"), world.leftovers()), (before, []), "the folder")
    equal(world.run(("archive.unpack", {**unpack[1], "to": world.path("new"), "sha256": "0" * 64})).code, 1, "another hash")
    equal(world.run(("archive.pack", {"from": world.path("in"), "to": world.path("in", "x.tar")})).code, 2, "into itself")
    equal(world.run(("archive.pack", {"from": world.path("in"), "to": world.path("x.rar")})).code, 2, "an unknown name")


def tar(path, *members, mode="w", format=tarfile.PAX_FORMAT):
    """members: (name, type or content, link name)."""
    with tarfile.open(path, mode, format=format) as t:
        for name, what, *link in members:
            info = tarfile.TarInfo(name)
            if isinstance(what, str):
                what = what.encode()
            if isinstance(what, bytes) and len(what) == 1 and not what.isalpha():
                info.type, info.linkname = what, (link or [""])[0]
                t.addfile(info)
            else:
                info.size = len(what)
                t.addfile(info, io.BytesIO(what))


@with_world
def hostile(world):
    """An archive with one entry that would leave the folder, or that lies, is refused whole, by the dry-run too."""
    link, hard, char, fifo, folder = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE
    outside = world.path("outside")
    os.mkdir(outside)
    for name, word, *members in (
            ("absolute", "absolute", ("/tmp/wherry-evil", "evil")), ("dots", "'..'", ("../evil", "evil")), ("dots inside", "'..'", ("a/../../evil", "evil")),
            ("dots at the end", "'..'", ("a/..", "evil")), ("absolute link", "absolute", ("l", link, outside)),
            ("a link up", "lead out", ("l", link, "../outside")), ("a link up from below", "lead out", ("a/l", link, "../../outside")),
            ("a link through a link", "lead out", ("d/e", folder), ("l", link, "d/e"), ("m", link, "l/../..")),
            ("through a link", "not a folder", ("l", link, "."), ("l/evil", "evil")),
            ("through a link to a folder", "not a folder", ("d", folder), ("l", link, "d"), ("l/evil", "evil")),
            ("through a file", "not a folder", ("f", "file"), ("f/evil", "evil")), ("over a link", "twice", ("l", link, "x"), ("l", "evil")),
            ("a hard link out", "absolute", ("h", hard, "/etc/passwd")), ("a hard link up", "'..'", ("h", hard, "../outside/x")),
            ("a hard link to a link", "no earlier file", ("l", link, "x"), ("h", hard, "l")),
            ("a hard link to nothing", "no earlier file", ("h", hard, "x")), ("a hard link to itself", "no earlier file", ("h", hard, "h")),
            ("a device", "device", ("c", char)), ("a pipe", "pipe", ("p", fifo)), ("twice", "twice", ("f", "one"), ("./f", "two")),
            ("a folder over a file", "twice", ("f", "one"), ("f", folder)), ("no name", "cannot be read", ("./", "evil")), ("an empty link", "nothing", ("l", link, "")),
            ("a long name", "255", ("n" * 300, "x")), ("a deep path", "64 parts", ("d/" * 70 + "f", "x")), ("many", "max_entries", *(("f%d" % i, "ab") for i in range(60))),
            ("large", "max_size", ("f", "ab" * 60000)), ("an escape sequence", "'..'", ("../\x1b[31m", "evil"))):
        tar(world.path("x.tar"), ("good", "good"), *members)
        for verb in ("plan", "run"):
            done = world.run(("archive.unpack", {"from": world.path("x.tar"), "to": world.path("out"), "max_entries": 50, "max_size": 100000}), verb=verb)
            expect(done.code == 1 and word in done.out + done.err and "\x1b" not in done.err, "%s, %s: %s" % (name, verb, done))
        expect(not os.path.lexists(world.path("out")), "%s: the folder is there" % name)
        equal((world.leftovers(), os.listdir(outside)), ([], []), "%s: left over" % name)
    expect(not os.path.lexists(world.path("evil")) and not os.path.lexists("/tmp/wherry-evil"), "evil is there")


@with_world
def zips(world):
    """A zip is unpacked by the same rules."""
    with zipfile.ZipFile(world.path("x.zip"), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a/b", "x" * 1000)
        z.writestr("ä", "y")
    done = world.run(("archive.unpack", {"from": world.path("x.zip"), "to": world.path("out")}))
    equal((done.code, open(world.path("out", "a", "b")).read(), open(world.path("out", "ä")).read()), (0, "x" * 1000, "y"), str(done))
    for name, word in (("../evil", "'..'"), ("/evil", "absolute"), ("a/b/../../../evil", "'..'")):
        with zipfile.ZipFile(world.path("x.zip"), "w") as z:
            z.writestr(name, "evil")
        done = world.run(("archive.unpack", {"from": world.path("x.zip"), "to": world.path("new")}))
        expect(done.code == 1 and word in done.err and not os.path.lexists(world.path("new")), str(done))
    link = zipfile.ZipInfo("l")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(world.path("x.zip"), "w") as z:
        z.writestr(link, "/etc")
    done = world.run(("archive.unpack", {"from": world.path("x.zip"), "to": world.path("new")}))
    expect(done.code == 1 and "absolute" in done.err, str(done))
    with zipfile.ZipFile(world.path("x.zip"), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("bomb", b"\0" * 30000000)
    done = world.run(("archive.unpack", {"from": world.path("x.zip"), "to": world.path("new"), "max_size": "1MiB"}))
    expect(done.code == 1 and "max_size" in done.err, str(done))


@with_world
def damage(world):
    """What is cut or changed is refused; what is no archive, and what cannot be packed, too."""
    tar(world.path("x.tar.gz"), *(("f%d" % i, os.urandom(5000)) for i in range(20)), mode="w:gz")
    whole = open(world.path("x.tar.gz"), "rb").read()
    for name, data in (("half", whole[:50000]), ("without its end", whole[:-4]), ("a changed byte", whole[:50000] + bytes([whole[50000] ^ 1]) + whole[50001:]),
                       ("empty", b""), ("text", b"hello\n" * 1000)):
        with open(world.path("y.tar.gz"), "wb") as f:
            f.write(data)
        done = world.run(("archive.unpack", {"from": world.path("y.tar.gz"), "to": world.path("out")}))
        expect(done.code == 1 and "cannot be read" in done.err and not os.path.lexists(world.path("out")), "%s: %s" % (name, done))
    with open(world.path("two.tar.gz"), "wb") as f:  # a gzip of two members is one file
        data = gzip.decompress(whole)
        f.write(gzip.compress(data[:7000]) + gzip.compress(data[7000:]) + b"\0" * 100)
    done = world.run(("archive.unpack", {"from": world.path("two.tar.gz"), "to": world.path("two")}))
    equal((done.code, len(world.tree("two"))), (0, 20), str(done))
    for bad in ("none.tar", "."):
        equal(world.run(("archive.unpack", {"from": world.path(bad), "to": world.path("out")})).code, 1, bad)
    for name, make in (("pipe", os.mkfifo), ("link", lambda p: os.symlink("/etc", p)), ("up", lambda p: os.symlink("..", p))):
        os.mkdir(world.path("in-" + name))
        make(world.path("in-" + name, "x"))
        done = world.run(("archive.pack", {"from": world.path("in-" + name), "to": world.path("x.tar")}))
        expect(done.code == 1 and "cannot be packed" in done.err and not os.path.lexists(world.path("x.tar")), str(done))
    equal(world.run(("archive.pack", {"from": world.path("x.tar.gz"), "to": world.path("x.tar")})).code, 1, "a file")
    equal(world.leftovers(), [], "left over")


@with_world
def dry_run(world):
    """The dry-run looks through an archive and says what is in it; of one that is not made yet it says that."""
    fill(world.path("in"))
    tar(world.path("x.tar"), ("a/b", "12345"))
    done = world.run(("archive.unpack", {"from": world.path("x.tar"), "to": world.path("out")}), verb="plan")
    expect(done.code == 0 and "[exact]" in done.out and '"entries":2' in done.out, str(done))
    done = world.run(("archive.pack", {"from": world.path("in"), "to": world.path("y.tar")}),
                     ("archive.unpack", {"from": world.path("y.tar"), "to": world.path("out")}), verb="plan")
    expect(done.code == 0 and done.out.count("predicted") >= 2, str(done))
    equal(sorted(os.listdir(world.folder)), ["in", "plan.yaml", "x.tar"], "what is there")


@with_world
def changed(world):
    """An archive that changed between kill and resume is in doubt; a folder may be used meanwhile."""
    fill(world.path("in"))
    steps = (("archive.pack", {"from": world.path("in"), "to": world.path("x.tar")}), ("archive.unpack", {"from": world.path("x.tar"), "to": world.path("out")}),
             ("exec", {"argv": ["test", "-e", world.path("go")], "idempotent": True}))
    equal(world.run(*steps).code, 1, "the gate")
    with open(world.path("out", "b"), "w") as f:
        f.write("used")
    with open(world.path("x.tar"), "ab") as f:
        f.write(b"more")
    done = world.w("resume", world.id, "--yes")
    expect(done.code == 3 and "x.tar' is not as this step left it" in done.err, str(done))
    os.truncate(world.path("x.tar"), os.path.getsize(world.path("x.tar")) - 4)
    open(world.path("go"), "w").close()
    equal(world.w("resume", world.id, "--yes").code, 0, "put back")


@with_world
def taken_back(world):
    """A rollback removes what was made and puts back what was removed; what someone changed since stops it, untouched."""
    fill(world.path("in"))
    with open(world.path("old"), "w") as f:
        f.write("old")
    os.chmod(world.path("old"), 0o640)
    steps = (("archive.pack", {"from": world.path("in"), "to": world.path("x.tar")}), ("archive.unpack", {"from": world.path("x.tar"), "to": world.path("out")}),
             ("file.delete", {"path": world.path("old")}), ("file.write", {"path": world.path("old"), "content": "new"}),
             ("file.write", {"path": world.path("new"), "content": "new"}))
    before = world.tree(".")
    for change in (False, True):
        equal(world.run(*steps).code, 0, "run")
        if change:
            with open(world.path("out", "b"), "w") as f:
                f.write("used")
            done = world.w("rollback", world.id, "--yes")
            expect(done.code == 3 and "'archive %s' was changed by someone else" % world.path("out") in done.err, str(done))
            expect(os.path.exists(world.path("x.tar")), "it went on after what it could not take back")
            with open(world.path("out", "b"), "w"):
                pass
        done = world.w("rollback", world.id, "--yes")
        equal(done.code, 0, str(done))
        after = {name: what for name, what in world.tree(".").items() if name not in ("state", "plan.yaml") and not name.startswith("state/")}
        equal(after, before, "the world after the rollback")


@with_world
def killed(world):
    """Killed at any system call that makes, writes or renames, the resume ends with the same, and nothing is left over."""
    fill(world.path("in"))
    steps = (("archive.pack", {"from": world.path("in"), "to": world.path("x.tgz")}),
             ("archive.unpack", {"from": world.path("x.tgz"), "to": world.path("out")}))
    tested = 0
    for call in ("renameat2", "syncfs", "mkdir", "mkdirat", "symlinkat", "fchmod"):
        for n in (1, 2, 5):
            w = Wherry(world.w.state, prefix=["strace", "-f", "-qq", "-o", world.path("trace"), "-e", "inject=%s:signal=KILL:when=%d" % (call, n)],
                       env={"ASAN_OPTIONS": "detect_leaks=0"})  # it cannot look under a tracer
            kept, world.w = world.w, w
            done = world.run(*steps)
            world.w = kept
            if done.code == -signal.SIGKILL or done.code == 137:
                tested += 1
                if os.path.exists(os.path.join(kept.state, world.id)) and kept("status", world.id).code == 0:
                    done = kept("resume", world.id, "--yes")
            if os.path.exists(world.path("out")):
                equal((world.tree("out"), world.leftovers()), (world.tree("in"), []), "%s %d: %s" % (call, n, done))
                equal(done.code, 0, "%s %d: %s" % (call, n, done))
            shutil.rmtree(world.path("out"), ignore_errors=True)
            for name in ("x.tgz", "trace"):
                if os.path.exists(world.path(name)):
                    os.remove(world.path(name))
    expect(tested >= 8, "only %d kills" % tested)


main(there_and_back, what_is_there, hostile, zips, damage, dry_run, changed, taken_back, killed)
