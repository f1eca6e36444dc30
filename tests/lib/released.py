# SPDX-License-Identifier: Apache-2.0
"""What helm does under wherry's user: by its requests in the audit log, by the manifests in its release Secrets, and by what an
action of a dry-run says that it would be."""
import base64
import collections
import gzip
import json
import re

STORED = re.compile(r"(\w+) secrets ([^/]+)/sh\.helm\.release\.v1\.(.+)\.v(\d+)$")
NOTES = {"hook": r"^helm runs the chart's hook (\S+) ",
         "create": r"^helm creates (\S+?),? (?:again|which nothing takes back)", "patch": r"^helm sets (\S+) back", "": r"^(\S+) is gone already"}
MEMBER = re.compile(r"^([-+]) objects\['([^']*)'\](.*)", re.M)


def opened(secret):
    """The release that a Secret of helm's holds."""
    return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))


def documents(text):
    """The objects of several JSON documents, lists among them."""
    at = 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        one, at = json.JSONDecoder().raw_decode(text, at)
        yield from one["items"] if one["kind"] == "List" else [one]


class Releases:
    def __init__(self, cluster, kinds):
        self.cluster, self.kinds = cluster, kinds

    def begin(self):
        """The store's revision."""
        self.running = {}  # {"namespace/release": objects of the revision that runs}
        secrets = self.cluster.api("GET", "/api/v1/secrets?labelSelector=owner%3Dhelm,status%3Ddeployed")
        for secret in secrets["items"]:
            r = opened(secret)
            self.running["%s/%s" % (r["namespace"], r["name"])] = self.objects(r["manifest"], r["namespace"])
        return int(secrets["metadata"]["resourceVersion"])

    def objects(self, manifest, namespace):
        """{"resource namespace/name": object}"""
        if not re.search(r"^\w", manifest, re.M):
            return {}
        got = {}
        for o in documents(self.cluster.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=manifest,
                                                namespace=namespace)):
            group, meta = o["apiVersion"].rpartition("/")[0], o["metadata"]
            kind = o["kind"] + ("." + group if group else "")
            got[self.kinds.line("", kind, meta.get("namespace", namespace), meta["name"]).strip()] = o
        return got

    def foretold(self, event):
        """Of an action, with what else its step said; of an effect of a run, which has no diff, that helm does what it likes."""
        release = event["ref"].partition(" ")[2].partition("/")[2]
        diff, lines = event.get("diff"), collections.defaultdict(set)
        if diff is None:
            return ["helm %s: *" % release]
        for sign, key, rest in MEMBER.findall(diff):
            lines[key].add(sign if rest.startswith(":") else "~")
        verbs = {("+",): "create", ("-",): "delete"}
        wanted = {key: verbs.get(tuple(signs), "patch") for key, signs in lines.items()}
        for note in event.get("notes", ()):
            for verb, words in NOTES.items():
                wanted.update((key, verb) for key in re.findall(words, note))
        facts = [self.kinds.line(verb, *key.split("/", 2)) for key, verb in wanted.items() if verb]
        made = re.search(r"^\+ revision: (\d+)", diff, re.M)
        facts += ["revision " + made.group(1)] if made else ["forget it"] if re.search(r"^- revision: ", diff, re.M) else []
        return ["helm %s: %s" % (release, f) for f in facts + ["work"]]

    def happened(self, requests):
        """Facts of helm's requests, [(event, line)], and how they differ from what its release Secrets say."""
        asked, told, once, hooks, parts = [], [], set(), {}, {}
        for event, text in requests:
            stored = STORED.match(text)
            if stored is None:
                asked.append(text)
                continue
            verb, release, revision = stored.group(1), "%s/%s" % stored.group(2, 3), stored.group(4)
            once.add("helm %s: work" % release)
            if verb == "delete":
                once.add("helm %s: forget it" % release)
                continue
            r = opened(event["requestObject"])
            now = self.objects(r["manifest"], r["namespace"])
            parts.update((o, release) for o in now)
            if verb == "create":
                once.add("helm %s: revision %s" % (release, revision))
                told += [(f, release) for f in self.between(self.running.get(release, {}), now)]
                hooks.update((o, release) for hook in r.get("hooks") or () for o in self.objects(hook["manifest"], r["namespace"]))
            elif r["info"]["status"] == "deployed":
                self.running[release] = now
            elif r["info"]["status"] == "uninstalling":
                told += [(f, release) for f in self.between(now, {})]
        return self.matched(asked, told, hooks, parts) + sorted(once)

    def matched(self, asked, told, hooks, parts):
        """What helm asked for, each of a release; and what its Secrets tell that it did not ask for. What is gone it makes, and does not
        delete; what somebody has changed it sets back."""
        facts, left = [], list(told)
        for text in asked:
            of = text.partition(" ")[2]
            release = next((r for f, r in left if f == text), None)
            if of in hooks:  # made, and removed
                facts.append("helm %s: hook %s" % (hooks[of], of))
            elif release:
                left.remove((text, release))
                facts.append("helm %s: %s" % (release, text))
            elif of in parts and text.startswith(("create", "patch")):
                facts.append("helm %s: %s" % (parts[of], text))
            elif text.startswith("create customresourcedefinitions "):  # of a chart's folder crds/, which no release knows
                facts.append("helm %s: %s" % (told[0][1] if told else "?", text))
            else:
                facts.append("helm: %s, which no release Secret tells" % text)
        return list(dict.fromkeys(f for f in facts if ": hook " in f)) + [f for f in facts if ": hook " not in f] + [
            "helm %s: no %s, of which its release Secret tells" % (r, f) for f, r in left
            if not f.startswith("delete ") and f.replace("patch ", "create ", 1) not in asked]

    def between(self, before, after):
        """What helm asks for to come from the objects of one revision to those of another."""
        return (["create " + o for o in after if o not in before] + ["delete " + o for o in before if o not in after] +
                ["patch " + o for o in after if o in before and after[o] != before[o]])
