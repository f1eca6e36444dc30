#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A machine that is against us: full and read-only disks, folders of others, failing syncs, limits, no home, odd descriptors. 6
before anything is done, or what was under way is on record; all that is said is pinned in tests/golden/told/."""
import contextlib
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from told import with_desk
from wtest import LIMIT, Wherry, equal, expect, is_sanitized, main, preload, wait_for, without_rights

LOG = """steps:
  - {id: one, uses: exec, with: {argv: [sh, -c, "echo one >>%s"]}}
"""


def nothing_done(desk):
    expect(not os.path.exists(desk.path("log")), "a step has run")


@with_desk
def folders(desk):
    """A state folder that cannot be: refused before any step, and each with its reason."""
    plan = desk.plan(LOG % desk.path("log"))
    run = ["run", plan, "--run-id", "r", "--yes"]
    without = lambda state: Wherry(state, prefix=without_rights())
    desk.file("file", "")
    desk.told("state-is-a-file", 6, *run, w=Wherry(desk.path("file")))
    desk.told("state-below-a-file", 6, *run, w=Wherry(desk.path("file", "deeper")))
    os.mkdir(desk.path("closed"), 0o500)
    desk.told("state-read-only", 6, *run, w=without(desk.path("closed")))
    desk.told("state-in-read-only", 6, *run, w=without(desk.path("closed", "state")))
    os.mkdir(desk.path("real"), 0o700)
    os.symlink(desk.path("real"), desk.path("link"))
    os.symlink(desk.path("nowhere"), desk.path("dangling"))
    desk.told("state-dangling-link", 6, *run, w=Wherry(desk.path("dangling")))
    nothing_done(desk)
    Wherry(desk.path("link")).ok(*run)  # a link of ours to a folder of ours is how people move state elsewhere


@with_desk
def shared_disks(desk):
    """A state folder that other machines may write to: their locks are not seen here."""
    plan = desk.plan(LOG % desk.path("log"))
    library = preload(desk.folder, "network_fs.c")
    for name, magic in (("nfs", "6969"), ("cifs", "ff534d42"), ("fuse", "65735546")):
        w = Wherry(desk.path(name), env={"LD_PRELOAD": library, "NETWORK_FS": magic})
        if is_sanitized() or w("version").code != 0:
            return "nothing can be preloaded into this build"
        desk.told("state-on-" + name, 6, "run", plan, "--run-id", "r", "--yes", w=w)
    nothing_done(desk)
    Wherry(desk.path("ext4"), env={"LD_PRELOAD": library, "NETWORK_FS": "ef53"}).ok("run", plan, "--run-id", "r", "--yes")
    return None


@with_desk
def runs_of_others(desk):
    """A run's folder that somebody else could have made or changed is not taken up."""
    desk.w.ok("run", desk.plan("steps:\n  - {id: hold, uses: confirm, with: {message: on?}}\n"), "--run-id", "r", "--yes", code=3)
    run, again = desk.w.folder("r"), ["resume", "r", "--yes"]
    os.chmod(run, 0o777)
    desk.told("run-folder-writable-for-all", 6, *again)
    os.chmod(run, 0o700)
    os.rename(os.path.join(run, "journal"), desk.path("elsewhere"))
    os.symlink(desk.path("elsewhere"), os.path.join(run, "journal"))
    desk.told("run-journal-is-a-link", 6, *again)
    os.replace(desk.path("elsewhere"), os.path.join(run, "journal"))
    if os.geteuid() == 0:
        os.chown(run, 12345, 12345)
        desk.told("run-folder-of-another", 6, *again)
        os.chown(run, 0, 0)
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
        desk.told("run-folder-read-only", 6, *again, w=read_only(desk))
    desk.w.ok(*again, "--approve", "hold")


def read_only(desk):
    """wherry, for which the state folder is on a read-only file system."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return Wherry(desk.w.state, prefix=["unshare", "-m", "sh", "-c", script, desk.w.state])


@with_desk
def homeless(desk):
    """Without a home, and without --state: told what to give; a relative place is fine."""
    plan = desk.plan(LOG % desk.path("log"))
    w = Wherry(desk.path("state"))
    del w.env["HOME"], w.env["WHERRY_STATE"]
    for row, *args in (("home-none-run", "run", plan, "--yes"), ("home-none-status", "status"), ("home-none-runs", "runs")):
        desk.told(row, 2, *args, w=w)
    nothing_done(desk)
    w.ok("version")
    w.ok("plan", plan)
    w.env["HOME"] = desk.path("home")
    w.ok("run", plan, "--yes", "--run-id", "r")
    expect(os.path.isdir(desk.path("home", ".local", "state", "wherry", "r")), "the run is not below the home")


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of that size; or None where nobody lets us mount one."""
    os.makedirs(folder, 0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=" + size, "none", folder], capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@with_desk
def full(desk):
    """A full disk: no run begins, or it pauses with 6, keeps what has ended, and goes on when there is room."""
    plan = desk.plan(LOG % desk.path("log"))
    with small_disk(desk.path("none"), "512k") as disk:
        if disk is None:
            return "nothing can be mounted"
        desk.told("disk-full-at-once", 6, "run", plan, "--run-id", "r", "--yes", w=Wherry(disk))
        nothing_done(desk)
    with small_disk(desk.path("little"), "4m") as disk:
        w = Wherry(disk)
        plan = desk.plan("steps:\n" + "".join(
            '  - {id: s%d, uses: exec, %s with: {argv: [sh, -c, "head -c 15000 /dev/urandom | base64 -w0; echo s%d >>%s"]}}\n' % (
                i, "needs: [s%d]," % (i - 1) if i else "", i, desk.path("log")) for i in range(400)), "long.yaml")
        done = w("run", plan, "--run-id", "r", "--yes", "-q")
        equal(done.code, 6, str(done))
        ended = len(open(desk.path("log")).read().split())
        expect(2 <= ended < 400, "%d steps have run" % ended)
        desk.told("disk-full-later", 6, "resume", "r", "--yes", "-q", w=w, replaced=[("s%d" % (ended - 1), "STEP")])
        text = w.ok("status", "r").out
        expect("paused (exit 6)" in text and "%d done" % (ended - 1) in text, text)  # the last one's output has no room
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        w.ok("resume", "r", "--yes", "-q")
        equal(open(desk.path("log")).read().split(), ["s%d" % i for i in range(400)], "steps, each once")


@with_desk
def syncs(desk):
    """A failing sync or write is believed: nothing more begins, what is unknown is named, and a resume settles it."""
    if shutil.which("strace") is None or is_sanitized():
        return "no strace, or a sanitized build"
    plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {idempotent: true, argv: [sh, -c, 'echo one >>%s']}}\n"
                     "  - {id: two, uses: exec, needs: [one], with: {idempotent: true, argv: [sh, -c, 'echo two >>%s']}}\n" % (desk.path("log"), desk.path("log")))
    for row, call, error, when in (("sync-fails-first", "fdatasync", "EIO", "1"), ("sync-fails", "fdatasync", "EIO", "3"),
                                   ("sync-no-space", "fdatasync", "ENOSPC", "3"), ("sync-quota", "fdatasync", "EDQUOT", "3")):
        w = Wherry(desk.path(row), prefix=["strace", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
                                           "-e", "inject=%s:error=%s:when=%s" % (call, error, when)])
        desk.told(row, 6, "run", plan, "--run-id", "r", "--yes", w=w)
        if when != "1":
            Wherry(desk.path(row)).ok("resume", "r", "--yes")


@with_desk
def limits(desk):
    """Too few descriptors, and too little memory, are said at once; a file-size limit is a full disk."""
    plan = desk.plan(LOG % desk.path("log"))
    run = ["run", plan, "--run-id", "r", "--yes"]
    desk.told("limit-descriptors", 6, *run, w=Wherry(desk.path("a"), prefix=["prlimit", "--nofile=16"]))
    desk.told("limit-file-size", 6, *run, w=Wherry(desk.path("b"), prefix=["prlimit", "--fsize=4096"]))
    nothing_done(desk)
    if is_sanitized():
        return None
    big = desk.plan("steps:\n" + "".join("  - {id: s%d, uses: set, with: {values: {x: 1}}}\n" % i for i in range(100000)), "big.yaml")
    desk.told("limit-memory", 6, "run", big, "--run-id", "r", "--yes", w=Wherry(desk.path("c"), prefix=["prlimit", "--data=30000000"]))
    return None


@with_desk
def no_memory(desk):
    """Memory that runs out in the middle of a run: said at once, what has ended is on record, and a resume does the rest."""
    if is_sanitized():
        return "a sanitized build"
    desk.file("big", b"x" * (15 << 20), "wb")
    plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {argv: [sh, -c, 'echo one >>%s']}}\n"
                     "  - {id: hold, uses: exec, needs: [one], with: {read_only: true, argv: [sh, -c, 'until [ -e %s ]; do sleep 0.05; done']}}\n"
                     "  - {id: two, uses: file.read, needs: [hold], with: {path: %s}}\n" % (desk.path("log"), desk.path("go"), desk.path("big")))
    p = desk.w.start("run", plan, "--run-id", "r", "--yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: "hold: running" in desk.w("status", "r").out, "the second step")
    with open("/proc/%d/status" % p.pid) as f:
        data = int(re.search(r"VmData:\s+(\d+)", f.read()).group(1))
    subprocess.run(["prlimit", "--pid", str(p.pid), "--data=%d" % ((data + 1024) * 1024)], check=True)
    desk.file("go", "")
    _, err = p.communicate(timeout=LIMIT)
    expect(p.returncode == 6 and "out of memory; the run can be resumed" in err, "exit code %d: %s" % (p.returncode, err))
    desk.w.ok("resume", "r", "--yes")
    equal(open(desk.path("log")).read(), "one\n", "effects")
    return None


@with_desk
def open_masks(desk):
    """With umask 000 files are private all the same; a PATH with a relative folder does not run what lies there."""
    plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {argv: [frobnicate]}}\n")
    os.makedirs(desk.path("bin"))
    desk.file("bin/frobnicate", "#!/bin/sh\necho ran >>%s\n" % desk.path("log"))
    os.chmod(desk.path("bin/frobnicate"), 0o755)
    for i, path in enumerate(("bin:/usr/bin:/bin", ":/usr/bin:/bin", ".:/usr/bin:/bin", "/usr/bin:/bin:")):
        p = subprocess.run(["sh", "-c", 'umask 000; cd "$0"; exec "$@"', desk.path("bin" if i else ".")] + desk.w.argv(
            ["run", plan, "--run-id", "r%d" % i, "--yes"]), env={**desk.w.env, "PATH": path}, capture_output=True, text=True, timeout=60)
        equal(p.returncode, 1, "PATH=%s: %s" % (path, p.stderr))
        nothing_done(desk)
    for top, names, files in os.walk(desk.w.state):
        for name in names + files:
            mode = os.stat(os.path.join(top, name)).st_mode & 0o077
            equal(mode, 0, "mode of %s for others" % name)
    desk.told("exec-missing", 1, "run", plan, "--run-id", "r", "--yes")


if __name__ == "__main__":
    main(folders, shared_disks, runs_of_others, homeless, full, syncs, limits, no_memory, open_masks)
