#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""names.py FOLDER CLUSTER: the DNS server of one cluster, on its node. It answers SERVICE.NAMESPACE.svc.cluster.local and
POD.SERVICE.NAMESPACE.svc.cluster.local with what the API server says at that moment; every other name does not exist.
"""
import http.client
import ipaddress
import json
import socketserver
import struct
import sys

sys.dont_write_bytecode = True
import cluster as machinery  # noqa: E402
import world  # noqa: E402

DOMAIN = ["svc", "cluster", "local"]
A, IN = 1, 1
NXDOMAIN, SERVFAIL = 3, 2


class Missing(Exception):
    pass


def get(cluster, path):
    status, data = cluster.ask(cluster.at("kube-apiserver", machinery.BRIDGE), "GET", path, user="names")
    if status == 404:
        raise Missing
    return json.loads(data)


def addresses(cluster, labels):
    """Of a name, as its labels in small letters."""
    if labels[-3:] != DOMAIN or len(labels) not in (5, 6):
        raise Missing
    service, namespace = labels[-5], labels[-4]
    address = get(cluster, "/api/v1/namespaces/%s/services/%s" % (namespace, service))["spec"].get("clusterIP", "None")
    if address != "None":
        if len(labels) == 6:
            raise Missing
        return [address]
    slices = get(cluster, "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=kubernetes.io%%2Fservice-name%%3D%s" % (
        namespace, service))["items"]
    found = [a for s in slices for e in s.get("endpoints") or () for a in e["addresses"]
             if e.get("conditions", {}).get("ready", True) and (len(labels) == 5 or e.get("hostname") == labels[0])]
    if len(labels) == 6 and not found:
        raise Missing
    return found


def answer(cluster, query):
    """RFC 1035 §4.1: one question, without compression."""
    number, flags = struct.unpack("!HH", query[:4])
    labels, i = [], 12
    while query[i]:
        labels.append(query[i + 1:i + 1 + query[i]].decode().lower())
        i += 1 + query[i]
    question = query[12:i + 5]
    kind = struct.unpack("!H", query[i + 1:i + 3])[0]
    code, records = 0, []
    try:
        found = addresses(cluster, labels)
        records = found if kind == A else []
    except Missing:
        code = NXDOMAIN
    except (OSError, http.client.HTTPException):
        code = SERVFAIL
    header = struct.pack("!HHHHHH", number, 0x8580 | flags & 0x0100 | code, 1, len(records), 0, 0)
    # 0xc00c: the name of the question; nothing is to be remembered
    return header + question + b"".join(struct.pack("!HHHIH", 0xc00c, A, IN, 0, 4) + ipaddress.IPv4Address(r).packed for r in records)


class Handler(socketserver.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(answer(self.server.cluster, self.packet))


def main():
    folder, name = sys.argv[1:]
    cluster = machinery.Cluster(world.World(folder).load(), name)
    with socketserver.UDPServer((cluster.place["node"], 53), Handler) as server:
        server.cluster = cluster
        server.serve_forever()


main()
