# SPDX-License-Identifier: Apache-2.0
"""What an operator is told, pinned: the command, the exit code, stdout and stderr, with folders, ports, ids and times made the
same for every run. UPDATE_GOLDEN=1 writes the golden files anew, for a person to look through."""
import getpass
import os
import re
import socket

from wtest import SOURCE, Wherry, equal, golden, scratch

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def same(text, *replaced):
    """What differs from run to run, by a name."""
    for old, new in replaced:
        text = text.replace(old, new)
    text = re.sub(TIME, "TIME", text)
    text = re.sub(r"\bpid \d+", "pid PID", text)
    text = re.sub(r"\b(127\.0\.0\.1|localhost):\d{4,}", r"\1:PORT", text)
    text = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{64}\b", "SHA256", text)
    text = re.sub(r" (in|after) [\d.]+(ms|s|us)\b", "", text)  # less than a millisecond is not told at all
    text = re.sub(r"(?i)openssl/[\d.]+", "OpenSSL/VERSION", text)
    text = text.replace("user %s on host %s" % (getpass.getuser(), socket.gethostname()), "user USER on host HOST")
    text = text.replace("%s@%s" % (getpass.getuser(), socket.gethostname()), "USER@HOST")
    return re.sub(r"/(?:[^\s'/:]+/)+(wherry|plans|tests)/", r"…/\1/", text) if SOURCE in text else text


def told(done, words, *replaced):
    """Everything a command said, as a golden text."""
    text = "$ wherry %s\nexit code %s\n" % (" ".join(words), done.code)
    for title, stream in (("stdout", done.out), ("stderr", done.err)):
        if stream:
            text += "-- %s\n%s" % (title, stream if stream.endswith("\n") else stream + "\n")
    return same(text, *replaced)


class Desk:
    """An operator's: a folder with plans and a state folder, and commands whose whole answers are pinned."""

    def __init__(self, folder, prefix=(), env=None):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"), prefix=prefix, env=env)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def file(self, name, content, mode="w"):
        with open(self.path(name), mode) as f:
            f.write(content)
        return self.path(name)

    def plan(self, body, name="plan.yaml"):
        return self.file(name, "wherry: v1\nname: t\n" + body)

    def told(self, row, code, *args, w=None, replaced=(), clean=lambda text: text, **more):
        """The command ends with this code and says what tests/golden/told/ROW.txt holds; and in time."""
        done = (w or self.w)(*args, **more)
        equal(done.code, code, str(done))
        words = [str(a).replace(self.folder + "/", "") for a in args]
        golden("told/%s.txt" % row, clean(told(done, words, *replaced, (self.folder, "DIR"))))
        return done


def with_desk(test):
    """A test that gets a desk in a folder of its own."""
    def run():
        with scratch() as folder:
            return test(Desk(folder))
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
