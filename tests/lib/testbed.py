# SPDX-License-Identifier: Apache-2.0
"""Real Kubernetes clusters for tests (tests/testbed/README.md): those that all tests of one ctest run share, or clusters of
a test's own. The test's process enters their network, so that all that it starts from then on reaches them.

	@testbed.shared()                       # or shared(node=True) where pods have to run; skipped where there is none
	def test_claim(a, b):                   # as many clusters as it has parameters, one or two
	    with a.namespace() as ns:
	        mark = a.audit_mark()
	        a.kubectl("create", "configmap", "x", namespace=ns)
	        events = a.audit(mark, user="admin")
"""
import contextlib
import functools
import inspect
import json
import os
import secrets
import subprocess
import sys
import tempfile

import wtest

sys.path.insert(0, os.path.join(wtest.SOURCE, "tests", "testbed"))
import cluster as machinery  # noqa: E402
import fake  # noqa: E402
import node as machinery_node  # noqa: E402
import world  # noqa: E402

IMAGE = machinery_node.IMAGE
UP = os.path.join(wtest.SOURCE, "tests", "testbed", "up")
DOWN = os.path.join(wtest.SOURCE, "tests", "testbed", "down")
FOLDER = os.environ.get("WHERRY_CLUSTERS") or world.FOLDER


class Cluster(machinery.Cluster):
    """kubeconfig is the administrator's; wherry_config is that of the user wherry, who may do everything as well."""

    def __init__(self, place, name):
        super().__init__(place, name)
        self.wherry_config = self.path("wherry.kubeconfig")

    def kubectl(self, *args, namespace=None, stdin=None, code=0, timeout=wtest.LIMIT, kubeconfig=None):
        """What kubectl printed; it has to end with that code."""
        argv = [self.world.program("kubectl"), "--kubeconfig", kubeconfig or self.kubeconfig]
        argv += ["--namespace", namespace] if namespace else []
        argv += [str(a) for a in args]
        done = subprocess.run(argv, input=stdin if stdin is not None else "", capture_output=True, text=True, timeout=timeout,
                              env={**world.ENV, "KUBECACHEDIR": self.path("kubectl")})
        result = wtest.Done(argv, done.returncode, done.stdout, done.stderr)
        if done.returncode != code:
            raise wtest.Violation("expected exit code %s: %s" % (code, result))
        return done.stdout if code == 0 else done.stderr

    def get(self, *args, namespace=None):
        """The object, or the list of objects, of `kubectl get`."""
        return json.loads(self.kubectl("get", *args, "-o", "json", namespace=namespace))

    def apply(self, *objects, namespace=None):
        """Objects as dictionaries, or a YAML text."""
        text = objects[0] if isinstance(objects[0], str) else json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.kubectl("apply", "-f", "-", namespace=namespace, stdin=text)

    def wait_until(self, what, *args, namespace=None):
        """kubectl wait --for=WHAT on what the arguments name."""
        return self.kubectl("wait", "--for=" + what, "--timeout=%ds" % wtest.LIMIT, *args, namespace=namespace, timeout=2 * wtest.LIMIT)

    @contextlib.contextmanager
    def namespace(self):
        """A new one with its service account; at the end it is being deleted, which nobody waits for."""
        name = "t-" + secrets.token_hex(4)
        self.kubectl("create", "namespace", name)
        try:
            self.wait_until("create", "serviceaccount/default", namespace=name)
            yield name
        except BaseException:
            with contextlib.suppress(wtest.Violation):  # what failed first is to be told
                self.kubectl("delete", "namespace", name, "--wait=false")
            raise
        self.kubectl("delete", "namespace", name, "--wait=false")

    def audit_mark(self):
        """The place in the audit log from which on requests are new."""
        return os.path.getsize(self.path("audit.log"))

    def audit(self, mark=0, user=None, verbs=None, resource=None, namespace=None):
        """The events since the mark, oldest first: every request is there once it is answered."""
        with open(self.path("audit.log"), "rb") as f:
            f.seek(mark)
            lines = f.read().split(b"\n")[:-1]
        events = map(json.loads, lines)
        return [e for e in events if (user is None or e["user"].get("username") == user) and (verbs is None or e["verb"] in verbs) and
                (resource is None or e.get("objectRef", {}).get("resource") == resource) and
                (namespace is None or e.get("objectRef", {}).get("namespace") == namespace)]

    def user(self, name, groups=()):
        """The kubeconfig of a new user, who may do nothing yet."""
        leaf = "user-" + secrets.token_hex(4)
        self.pki.leaf(leaf, name, groups)
        return self.pki.kubeconfig(self.path(leaf + ".kubeconfig"), self.url(), leaf)

    def fake_nodes(self, count):
        """At least so many; what it returns in a pod's spec brings the pod to one of them."""
        fake.up(self, count)
        return fake.placed()

    def programs(self):
        """A hostPath volume and its mount, for a container that wants kubectl or another built program."""
        return {"name": "programs", "hostPath": {"path": self.world.programs}}, {"name": "programs", "mountPath": "/programs", "readOnly": True}


def parameters(test):
    return len(inspect.signature(test).parameters)


def reason(place, node):
    """Why tests cannot run on a testbed, or None."""
    if node and not place.nodes:
        return world.why_no_node() or "the testbed was started without nodes"
    return None


def shared(node=False):
    """A decorator: the test gets the clusters that the tests of this run share, entered; it cleans up what is not in its namespace."""
    def decorate(test):
        @functools.wraps(test)
        def run():
            place = world.World(FOLDER)
            if not os.path.exists(place.path("ready")):
                try:
                    world.built()
                except world.Unavailable as e:
                    return str(e)
                return "no testbed is up: tests/testbed/up a b"
            place.load()
            why = reason(place, node)
            if why:
                return why
            place.join()
            return test(*[Cluster(place, name) for name in list(place.clusters)[:parameters(test)]])
        run.__signature__ = inspect.Signature()
        return run
    return decorate


def own(node=False):
    """A decorator: the test gets clusters of its own, a and b, entered; it may do to them what it likes."""
    def decorate(test):
        @functools.wraps(test)
        def run():
            try:
                world.built()
            except world.Unavailable as e:
                return str(e)
            why = world.why_no_node() if node else None
            if why:
                return why
            with tempfile.TemporaryDirectory(prefix="wherry-", ignore_cleanup_errors=True) as folder, started(
                    os.path.join(folder, "testbed"), ["a", "b"][:parameters(test)], [] if node else ["--control-plane"]) as place:
                place.join()
                return test(*[Cluster(place, name) for name in place.clusters])
        run.__signature__ = inspect.Signature()
        return run
    return decorate


@contextlib.contextmanager
def started(folder, names, options=()):
    """Clusters that are ended at the end, or, where they have namespaces, when this process ends."""
    hold, ours = os.pipe()
    try:
        done = subprocess.run([UP, "--folder", folder, "--hold", *options, *names], stdin=hold, capture_output=True, text=True,
                              timeout=5 * wtest.LIMIT)
        wtest.expect(done.returncode == 0, "tests/testbed/up: exit code %d: %s" % (done.returncode, done.stderr))
        yield world.World(folder).load()
    finally:
        subprocess.run([DOWN, "--folder", folder], check=True, timeout=wtest.LIMIT)
        os.close(hold)
        os.close(ours)
