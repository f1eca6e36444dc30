# SPDX-License-Identifier: Apache-2.0
"""What the audit log of a cluster says was done, as lines for people: "patch deployments/scale NAMESPACE/NAME"."""
import urllib.parse

CHANGES = ("create", "update", "patch", "delete", "deletecollection")
REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")  # questions that are asked by POST
SESSIONS = ("exec", "attach", "portforward")
SCRIPT_CHANGES = ("mv -", "rm -f")  # what a script of wherry's own holds that does more than look


def requests(events):
    """Of audit events those of requests that changed something, or may have; each request once."""
    return [e for e in {e["auditID"]: e for e in events}.values() if may_change(e)]


def query(event):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(event["requestURI"]).query)


def is_sure(event):
    """Has the server said that it did so?"""
    return event.get("responseStatus", {}).get("code", 500) < 300


def body(event):
    """A map; what a JSON patch holds is a list, and says nothing here."""
    got = event.get("requestObject")
    return got if isinstance(got, dict) else {}


def options(event):
    """Of a DELETE, or of an eviction."""
    sent = body(event)
    return sent if sent.get("kind") == "DeleteOptions" else sent.get("deleteOptions") or {}


def may_change(event):
    ref, code = event.get("objectRef", {}), event.get("responseStatus", {}).get("code")
    if ref.get("subresource") in SESSIONS:
        return code is None or code < 300
    if event["verb"] not in CHANGES or ref.get("resource") in REVIEWS:
        return False
    dry = "All" in query(event).get("dryRun", []) or options(event).get("dryRun") == ["All"]
    return not dry and (code is None or code < 300 or code >= 500)


def without_effect(events, revision):
    """Ids of updates and patches of everybody's that left their object as it was then, or at that revision of the store."""
    got, last = set(), {}
    for e in events:
        ref, now = e.get("objectRef", {}), int(((e.get("responseObject") or {}).get("metadata") or {}).get("resourceVersion") or 0)
        place = ref.get("resource"), ref.get("namespace"), ref.get("name")
        if e["verb"] in ("update", "patch") and 0 < now <= max(revision, last.get(place, 0)):
            got.add(e["auditID"])
        last[place] = max(now, last.get(place, 0))
    return got


def command(event):
    """The words of an exec, without the mark that wherry puts before them."""
    words = query(event).get("command", [])
    marked = words[:1] == ["env"] and len(words) > 1 and words[1].startswith("WHERRY_EFFECT=")
    return words[2:] if marked else words


def only_looks(words):
    """A script by which wherry looks at a file in a container."""
    return words[:2] == ["sh", "-c"] and words[3:4] == ["wherry"] and not any(w in words[2] for w in SCRIPT_CHANGES)


def line(verb, resource, namespace, name):
    return "%s %s %s" % (verb, resource, "/".join(x for x in (namespace, name) if x))


def told(event):
    ref = event["objectRef"]
    name = ref.get("name") or body(event).get("metadata", {}).get("name", "?")
    if ref.get("subresource") in SESSIONS:
        return line(ref["subresource"], "pods", ref["namespace"], name)
    resource = ref["resource"] + ("/" + ref["subresource"] if ref.get("subresource") else "")
    return line(event["verb"], resource, "" if ref["resource"] == "namespaces" else ref.get("namespace"), name)


class Kinds:
    """What a cluster serves, or served once, by Kind.group."""

    def __init__(self, cluster):
        self.cluster, self.known = cluster, {}
        self.learn()  # a plan may make an end of one

    def learn(self):
        for text in self.cluster.kubectl("api-resources", "--no-headers").splitlines():
            words = text.split()
            group = words[-3].rpartition("/")[0]
            self.known[words[-1] + ("." + group if group else "")] = words[0], words[-2] == "true"

    def line(self, verb, kind, namespace, name, sub=""):
        if kind not in self.known:
            self.learn()
        resource, has_namespace = self.known.get(kind) or (kind.partition(".")[0].lower() + "s", bool(namespace))
        return line(verb, resource + ("/" + sub if sub else ""), namespace if has_namespace else "", name)
