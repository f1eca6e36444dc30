/* SPDX-License-Identifier: Apache-2.0 */
/* What a set of objects needs where it is to be: kinds, classes, nodes, each once, with the first object that needs it. Pure. */
#ifndef WHERRY_STEPS_KUBE_NEEDS_H
#define WHERRY_STEPS_KUBE_NEEDS_H

#include "base/arena.h"
#include "base/map.h"
#include "value.h"

enum kube_need_what {
	KUBE_NEED_KIND,     /* name: Kind, group, version; namespace of some of its objects ("": it has none) */
	KUBE_NEED_CLASS,    /* a cluster-scoped object: name, of kind and group */
	KUBE_NEED_NODE,     /* labels that a node has to have, all of them: name is their text, labels themselves */
	KUBE_NEED_VOLUMES,  /* claims of a StatefulSet that go when it is scaled down */
};
struct kube_need {
	enum kube_need_what what;
	const char *name, *kind, *group, *version, *namespace;
	struct value labels;
	const char *user; /* its path: KIND/NAMESPACE/NAME */
};
struct kube_needs {
	struct arena arena;
	struct map index, objects, defined; /* defined: kinds that come with it, as Kind.group */
	struct kube_need *list;
	uint32_t n, cap, nobjects;
};

void kube_needs_add(struct kube_needs *k, const struct value *object);
/* Was the object of this path (Kind.group/NAMESPACE/NAME) added? */
bool kube_needs_has(const struct kube_needs *k, const char *path);
/* Does the kind come with a definition of its own? */
bool kube_needs_defines(const struct kube_needs *k, const char *group, const char *kind);
void kube_needs_done(struct kube_needs *k);

#endif
