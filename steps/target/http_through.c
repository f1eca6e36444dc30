/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a URL inside a cluster is said to its API server. Names are checked, so that none of them can reach out of its
 * place in the address. */
#include "steps/target/http_through.h"

#include <string.h>

#define CLUSTER_DOMAIN ".svc.cluster.local"
#define LABEL_MAX 63  /* of a namespace and a service, RFC 1123 §2.1 */
#define POD_NAME_MAX 253

static bool
is_name(const char *p, size_t n, const char *more, size_t max)
{
	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= '0' && p[i] <= '9') && strchr(more, p[i]) == NULL)
			return false;
	return p[0] != '-' && p[0] != '.' && p[n - 1] != '-' && p[n - 1] != '.';
}

static bool
ends_with(const char *p, size_t n, const char *end)
{
	const size_t len = strlen(end);

	return n > len && memcmp(p + n - len, end, len) == 0;
}

static int
no_place(const char *url, struct err *err)
{
	return err_set(err, ERR_PLAN, "url: '%s' is no place inside a cluster: expected http://SERVICE.NAMESPACE:PORT or "
		       "http://POD.NAMESPACE.pod:PORT, or https", url);
}

/* The length of a dot that begins p, plain or encoded; 0: there is none. */
static size_t
dot_at(const char *p)
{
	return p[0] == '.' ? 1 : p[0] == '%' && p[1] == '2' && (p[2] == 'e' || p[2] == 'E') ? 3 : 0;
}

/* Is a part of the path "." or ".."? */
static bool
leaves_its_place(const char *path)
{
	const size_t end = strcspn(path, "?");

	for (const char *p = path; p < path + end; p += strcspn(p, "/?")) {
		size_t n;

		p += *p == '/';
		n = dot_at(p);
		n += n > 0 ? dot_at(p + n) : 0;
		if (n > 0 && strchr("/?", p[n]) != NULL) /* or the end */
			return true;
		if (*p == '?' || *p == '\0')
			break;
	}
	return false;
}

int
http_through(struct arena *a, const char *url, const char *path, const char **ret, struct err *err)
{
	const bool tls = strncmp(url, "https://", 8) == 0;
	const char *host = url + (tls ? 8 : 7), *port, *rest, *dot;
	size_t n = strcspn(host, "/:"), nport, base;
	bool pod;

	port = host[n] == ':' ? host + n + 1 : tls ? "443" : "80";
	nport = strcspn(port, "/");
	rest = host + strcspn(host, "/");
	base = strlen(rest);
	if (base > 0 && rest[base - 1] == '/')
		base--;
	pod = ends_with(host, n, ".pod");
	if (pod)
		n -= strlen(".pod");
	else if (ends_with(host, n, CLUSTER_DOMAIN))
		n -= strlen(CLUSTER_DOMAIN);
	else if (ends_with(host, n, ".svc"))
		n -= strlen(".svc");
	dot = memrchr(host, '.', n); /* a pod's name may hold dots, a namespace's may not */
	if (dot == NULL || !is_name(dot + 1, (size_t)(host + n - dot - 1), "-", LABEL_MAX) ||
	    !is_name(host, (size_t)(dot - host), pod ? "-." : "-", pod ? POD_NAME_MAX : LABEL_MAX) ||
	    !is_name(port, nport, "-", LABEL_MAX))
		return no_place(url, err);
	if (leaves_its_place(rest) || leaves_its_place(path))
		return err_set(err, ERR_PLAN, "url: '.' and '..' cannot stand in a path through a cluster");
	/* without TLS no scheme is named: the address that everybody knows, also in rules of who may use it */
	*ret = arena_printf(a, "/api/v1/namespaces/%.*s/%s/%s%.*s:%.*s/proxy%.*s%s", (int)(host + n - dot - 1), dot + 1,
			    pod ? "pods" : "services", tls ? "https:" : "", (int)(dot - host), host, (int)nport, port, (int)base, rest, path);
	return 0;
}
