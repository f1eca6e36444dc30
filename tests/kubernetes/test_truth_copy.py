#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dry-run of the bundled plan cluster-copy tells the truth: what both API servers saw is what it announced of each."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from shop import ALL_PODS, PLAN, Move, Shop  # noqa: E402
from truth import Truth  # noqa: E402
from witness import OnCluster  # noqa: E402
from wtest import equal, main, scratch  # noqa: E402


@testbed.shared(node=True)
def test_copy(a, b):
    """From the export to the hand-over, with all kinds of workloads, a volume and custom objects."""
    with scratch() as folder, a.namespace() as ns:
        shop, kept = Shop(folder, ns, maps=50), os.path.join(folder, "kept")
        try:
            shop.open(a)
            os.mkdir(kept)
            m = Move(folder, a, b, ns, keep=kept, **shop.params())
            truth = Truth(m.w, folder, {"a": OnCluster(a), "b": OnCluster(b)}, others=[shop.disk])
            truth.prove(PLAN, *m.words, approve=["wake", "handover"])
            equal(dict(truth.let_pass), {}, "what could not be foretold")
            shop.is_up(b)
            equal([shop.pods(a), shop.pods(b)], [[], ALL_PODS], "pods of both")
        finally:
            shop.close(a, b)


main(test_copy)
