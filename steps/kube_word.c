/* SPDX-License-Identifier: Apache-2.0 */
/* A plural is taken for one by its end: whoever knows better is a server. */
#include "steps/kube_word.h"

#include <string.h>

size_t
kube_word_group(const char *version)
{
	const char *slash = strchr(version, '/');

	return slash != NULL ? (size_t)(slash - version) : 0;
}

bool
kube_word_is(const struct value *object, const char *group, const char *kind)
{
	const char *version = value_get_str(object, "apiVersion", "");
	const size_t len = kube_word_group(version);

	return strlen(group) == len && strncmp(version, group, len) == 0 && strcmp(value_get_str(object, "kind", ""), kind) == 0;
}

/* Is this the plan's word for the kind: itself or its plural, in any case? */
static bool
is_word(const char *word, size_t len, const char *kind)
{
	static const char *const ends[] = { "", "s", "es" };
	const size_t own = strlen(kind);

	for (size_t i = 0; i < countof(ends); i++)
		if (len == own + strlen(ends[i]) && strncasecmp(word, kind, own) == 0 && strncasecmp(word + own, ends[i], len - own) == 0)
			return true;
	return own > 0 && kind[own - 1] == 'y' && len == own + 2 && strncasecmp(word, kind, own - 1) == 0 && strncasecmp(word + own - 1, "ies", 3) == 0;
}

bool
kube_word_in(const struct value *kinds, const struct value *object)
{
	const char *kind = value_get_str(object, "kind", ""), *version = value_get_str(object, "apiVersion", "");
	const size_t group = kube_word_group(version);

	for (uint32_t i = 0; i < kinds->len; i++) {
		const char *word = kinds->items[i].kind == V_STRING ? kinds->items[i].s : "";
		const size_t len = strcspn(word, ".");

		if (is_word(word, len, kind) && (word[len] == '\0' || (strlen(word + len + 1) == group && strncmp(word + len + 1, version, group) == 0)))
			return true;
	}
	return false;
}
