/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a kubeconfig, merged as kubectl does (for each entry the first file that has it), and the members of its
 * entries. Only kube_config.c and kube_plugin.c see them. */
#ifndef WHERRY_TARGET_KUBE_ENTRY_H
#define WHERRY_TARGET_KUBE_ENTRY_H

#include "value.h"

struct kube_file {
	const char *path, *dir;
	struct value root;
};
struct kube_files {
	struct kube_file *list; /* those that are there */
	size_t n;
	const char *from;       /* for messages: "kubeconfig 'a', 'b'" */
	const char *loose;      /* one that its group can read, or NULL */
};

/* Read a file, or (NULL) what $KUBECONFIG names, else ~/.kube/config; n 0: none is there, where none was asked for. */
int kube_files_read(struct arena *a, const char *kubeconfig, struct kube_files *ret, struct err *err);
/* Overwrite what was read. What the functions below return are copies. */
void kube_files_wipe(struct kube_files *f);

/* A map in a kubeconfig. */
struct kube_entry {
	const char *what;      /* begins the messages: "kubeconfig 'x', user 'y'" */
	const char *dir;       /* of its file: relative paths begin there */
	const struct value *v; /* NULL or V_MAP */
};
/* The entry of a section: ("clusters", "cluster", name). ERR_PLAN for one that is not there, with what there is. */
int kube_entry_find(struct arena *a, const struct kube_files *f, const char *section, const char *kind, const char *name,
		    struct kube_entry *ret, struct err *err);
/* The names in a section: "'a', 'b'", for messages. */
const char *kube_entry_names(struct arena *a, const struct kube_files *f, const char *section);
/* The context that the first file names which names one, or NULL. */
int kube_entry_current(struct arena *a, const struct kube_files *f, const char **ret, struct err *err);

/* Members; absent, null and empty ones are NULL, empty, false or no map. Another type is ERR_PLAN. */
int kube_entry_text(struct arena *a, const struct kube_entry *e, const char *key, const char **ret, struct err *err);
/* A file, from the folder of the kubeconfig on. */
int kube_entry_path(struct arena *a, const struct kube_entry *e, const char *key, const char **ret, struct err *err);
int kube_entry_secret(struct arena *a, const struct kube_entry *e, const char *key, const struct secret **ret, struct err *err);
/* What stands there in base64. */
int kube_entry_data(struct arena *a, const struct kube_entry *e, const char *key, struct bytes *ret, struct err *err);
int kube_entry_flag(const struct kube_entry *e, const char *key, bool *ret, struct err *err);
int kube_entry_list(const struct kube_entry *e, const char *key, const struct value **ret, struct err *err);
int kube_entry_map(struct arena *a, const struct kube_entry *e, const char *key, struct kube_entry *ret, struct err *err);

#endif
