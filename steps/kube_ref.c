/* SPDX-License-Identifier: Apache-2.0 */
/* What plans call objects of Kubernetes: refused early, with the rule that is broken, and put into paths. Whether a kind
 * exists, and has namespaces, only its server knows. */
#include "steps/kube_ref.h"

#include <string.h>

#include "steps/target/kube_paths.h"

#define LABEL_MAX 63 /* RFC 1123, 2.1 */
#define NAME_LEN_MAX 253
#define SELECTOR_MAX 4096

static bool
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* A label, or labels with a dot between two of them. */
static bool
is_rfc1123(const char *s, bool dots)
{
	const size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		if (is_lower_alnum(s[i]))
			continue;
		if (i == 0 || i + 1 == len || (s[i] != '-' && !(dots && s[i] == '.')))
			return false;
		if (s[i - 1] == '.' || (s[i] == '-' && s[i + 1] == '.'))
			return false;
	}
	return len > 0;
}

/* Role, ClusterRole and their bindings, in any spelling: their names may hold ':' and capitals. */
static bool
is_role(const char *kind)
{
	return strncasecmp(kind, "role", 4) == 0 || strncasecmp(kind, "clusterrole", 11) == 0;
}

int
kube_check_kind(const char *kind, struct err *err)
{
	const char *p = kind;

	if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
		while (is_alnum(*p) || *p == '-' || (*p == '.' && is_alnum(p[1])))
			p++;
	if (p == kind || *p != '\0' || p - kind > NAME_LEN_MAX)
		return err_set(err, ERR_PLAN, "'%.100s' is not the name of a kind: Deployment, deploy, Deployment.apps or "
			       "Deployment.v1.apps would be one", kind);
	return 0;
}

int
kube_check_kinds(const struct value *kinds, struct err *err)
{
	for (uint32_t i = 0; kinds != NULL && kinds->kind == V_LIST && i < kinds->len; i++)
		if (kinds->items[i].kind == V_STRING && kube_check_kind(kinds->items[i].s, err) < 0)
			return -1;
	return 0;
}

int
kube_check_namespace(const char *namespace, struct err *err)
{
	if (!is_rfc1123(namespace, false) || strlen(namespace) > LABEL_MAX)
		return err_set(err, ERR_PLAN, "'%.100s' is not the name of a namespace: at most 63 lower-case letters, digits and "
			       "'-', with a letter or digit at both ends (RFC 1123)", namespace);
	return 0;
}

/* What may stand in a URL between two '/'. */
static bool
is_segment(const char *s)
{
	const size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f || strchr("/%#?", s[i]) != NULL)
			return false;
	return len > 0 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

int
kube_check_name(const char *kind, const char *name, struct err *err)
{
	if (strlen(name) > NAME_LEN_MAX)
		return err_set(err, ERR_PLAN, "the name '%.60s…' has more than 253 characters", name);
	if (is_role(kind) && is_segment(name))
		return 0;
	if (!is_rfc1123(name, true))
		return err_set(err, ERR_PLAN, "'%.100s' is not the name of an object: lower-case letters, digits, '-' and '.', with a "
			       "letter or digit at both ends (RFC 1123)", name);
	return 0;
}

/* The namespace that stands in the name itself: its length, 0 for none. */
static size_t
inner_namespace(const struct kube_name *n)
{
	const char *slash = is_role(n->kind) ? NULL : strchr(n->name, '/');

	return slash != NULL ? (size_t)(slash - n->name) : 0;
}

int
kube_check(const struct kube_name *n, struct err *err)
{
	const size_t len = inner_namespace(n);
	char inner[LABEL_MAX + 2] = "";

	if (kube_check_kind(n->kind, err) < 0 || (n->namespace != NULL && kube_check_namespace(n->namespace, err) < 0))
		return -1;
	if (len == 0)
		return kube_check_name(n->kind, n->name, err);
	memcpy(inner, n->name, len < sizeof(inner) ? len : sizeof(inner) - 1);
	if (kube_check_namespace(inner, err) < 0 || kube_check_name(n->kind, n->name + len + 1, err) < 0)
		return -1;
	if (n->namespace != NULL && strcmp(n->namespace, inner) != 0)
		return err_set(err, ERR_PLAN, "the name '%.320s' has a namespace in it, and namespace says '%.63s'", n->name,
			       n->namespace);
	return 0;
}

int
kube_check_selector(const char *what, const char *selector, struct err *err)
{
	if (selector[0] == '\0')
		return err_set(err, ERR_PLAN, "%s is empty, which would select everything: leave it out for that", what);
	if (strlen(selector) > SELECTOR_MAX)
		return err_set(err, ERR_PLAN, "%s has more than %d bytes", what, SELECTOR_MAX);
	for (const char *p = selector; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, ERR_PLAN, "%s holds a control character", what);
	return 0;
}

const char *
kube_ref_path(struct arena *a, const struct kube_name *n, const char *sub)
{
	const size_t len = inner_namespace(n);
	const char *namespace = len > 0 ? arena_strndup(a, n->name, len) : n->namespace;

	return kube_paths_object(a, n->kind, namespace != NULL ? namespace : "", n->name + (len > 0 ? len + 1 : 0), sub);
}

const char *
kube_ref_text(struct arena *a, const struct kube_name *n)
{
	const bool plain = n->namespace == NULL || inner_namespace(n) > 0;

	return arena_printf(a, "%.*s %s%s%s", (int)strcspn(n->kind, "."), n->kind, plain ? "" : n->namespace, plain ? "" : "/", n->name);
}

int
kube_ref_parse(struct arena *a, const char *text, const char *namespace, struct kube_name *ret, struct err *err)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL || slash == text)
		return err_set(err, ERR_PLAN, "'%.300s' is not KIND/NAME or KIND/NAMESPACE/NAME", text);
	*ret = (struct kube_name){ arena_strndup(a, text, (size_t)(slash - text)), namespace, arena_strdup(a, slash + 1) };
	return kube_check(ret, err);
}
