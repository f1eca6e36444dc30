/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of an import into Kubernetes, which is libcurl and nothing else:
 *   bench_kube URL CA CERT KEY FILE CONNECTIONS
 * posts what is in FILE, each connection one after the other, and prints the seconds it took. A line is a path, a space and the
 * object that is posted there; a path alone is waited for until it is served. What stands before an empty line is done before
 * what stands behind it. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define CONNECTIONS_MAX 64
#define GROUPS_MAX 8
#define URL_MAX 1024
#define WAIT_NS (60 * NS_PER_S)

struct line {
	const char *path, *body; /* body NULL: wait for the path */
};

struct bench {
	const char *url, *ca, *cert, *key;
	struct line *lines;
	long n, ends[GROUPS_MAX];
	int groups;
	pthread_barrier_t together;
	atomic_long next;
	atomic_int failed;
};

static size_t
swallow(char *p, size_t size, size_t n, void *data)
{
	(void)p, (void)data;
	return size * n;
}

static long
status_of(CURL *c)
{
	long status = 0;

	if (curl_easy_perform(c) == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool
do_line(const struct bench *b, CURL *c, const struct line *l)
{
	const int64_t end = clock_now() + WAIT_NS;
	char url[URL_MAX];

	(void)snprintf(url, sizeof(url), "%s%s", b->url, l->path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	if (l->body != NULL) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, l->body);
		return status_of(c) == 201;
	}
	curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	while (status_of(c) != 200) {
		if (clock_now() > end)
			return false;
		(void)usleep(10000);
	}
	return true;
}

static void *
connection(void *data)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct bench *b = data;
	CURL *c = curl_easy_init();
	long i;

	if (c == NULL || headers == NULL)
		abort();
	curl_easy_setopt(c, CURLOPT_CAINFO, b->ca);
	curl_easy_setopt(c, CURLOPT_SSLCERT, b->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY, b->key);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, swallow);
	for (int group = 0; group < b->groups; group++) {
		while ((i = atomic_fetch_add(&b->next, 1)) < b->ends[group] && !b->failed)
			if (!do_line(b, c, &b->lines[i]))
				b->failed = 1;
		if (pthread_barrier_wait(&b->together) == PTHREAD_BARRIER_SERIAL_THREAD)
			b->next = b->ends[group];
		pthread_barrier_wait(&b->together);
	}
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	return NULL;
}

/* Cut the text into lines and groups; false: too many groups, or a path is too long. */
static bool
cut(struct bench *b, char *text)
{
	long room = 0;

	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char *space;

		*end = '\0';
		if (line == end) {
			if (b->groups == GROUPS_MAX - 1)
				return false;
			b->ends[b->groups++] = b->n;
			continue;
		}
		if (b->n == room) {
			room = room > 0 ? room * 2 : 1024;
			b->lines = realloc(b->lines, (size_t)room * sizeof(*b->lines));
			if (b->lines == NULL)
				abort();
		}
		space = strchr(line, ' ');
		if (space != NULL)
			*space = '\0';
		b->lines[b->n++] = (struct line){ line, space != NULL ? space + 1 : NULL };
		if (strlen(b->url) + strlen(line) >= URL_MAX)
			return false;
	}
	b->ends[b->groups++] = b->n;
	return true;
}

static char *
read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	if (f == NULL || getdelim(&text, &room, '\0', f) < 0)
		abort();
	(void)fclose(f);
	return text;
}

int
main(int argc, char **argv)
{
	pthread_t threads[CONNECTIONS_MAX];
	struct bench b = { 0 };
	long connections;
	int64_t begin;
	char *text;

	if (argc != 7)
		return 2;
	b.url = argv[1];
	b.ca = argv[2];
	b.cert = argv[3];
	b.key = argv[4];
	connections = strtol(argv[6], NULL, 10);
	if (connections < 1 || connections > CONNECTIONS_MAX)
		return 2;
	text = read_all(argv[5]);
	if (!cut(&b, text))
		return 2;
	pthread_barrier_init(&b.together, NULL, (unsigned)connections);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	begin = clock_now();
	for (long i = 0; i < connections; i++)
		if (pthread_create(&threads[i], NULL, connection, &b) != 0)
			abort();
	for (long i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	printf("%.3f\n", (double)(clock_now() - begin) / 1e9);
	free(b.lines);
	free(text);
	return b.failed;
}
