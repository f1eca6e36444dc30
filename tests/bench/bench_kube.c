/* SPDX-License-Identifier: Apache-2.0 */
/* The bound of an import into Kubernetes, which is libcurl and nothing else:
 *   bench_kube URL CA CERT KEY NAMESPACE N SIZE CONNECTIONS
 * creates N ConfigMaps of SIZE bytes, each connection one after the other, and prints the seconds it took. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CONNECTIONS_MAX 64
#define SIZE_MAX_KIB 1024

struct bench {
	const char *ca, *cert, *key;
	char url[512];
	long n, size;
	atomic_long next;
	atomic_int failed;
};

static size_t
swallow(char *p, size_t size, size_t n, void *data)
{
	(void)p, (void)data;
	return size * n;
}

/* The body of the i-th object; to has room for it. */
static void
body_of(const struct bench *b, long i, char *to, size_t room)
{
	int at = snprintf(to, room, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c%07ld\"},\"data\":{\"value\":\"", i);

	memset(to + at, 'a' + (int)(i % 26), (size_t)b->size);
	memcpy(to + at + b->size, "\"}}", 4);
}

static void *
create_some(void *data)
{
	const size_t room = SIZE_MAX_KIB * 1024 + 512;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct bench *b = data;
	char *body = malloc(room);
	CURL *c = curl_easy_init();
	long i, status;

	if (c == NULL || body == NULL || headers == NULL)
		abort();
	curl_easy_setopt(c, CURLOPT_URL, b->url);
	curl_easy_setopt(c, CURLOPT_CAINFO, b->ca);
	curl_easy_setopt(c, CURLOPT_SSLCERT, b->cert);
	curl_easy_setopt(c, CURLOPT_SSLKEY, b->key);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, swallow);
	while ((i = atomic_fetch_add(&b->next, 1)) < b->n && !b->failed) {
		body_of(b, i, body, room);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		status = 0;
		if (curl_easy_perform(c) == CURLE_OK)
			curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		if (status != 201)
			b->failed = 1;
	}
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	free(body);
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t threads[CONNECTIONS_MAX];
	struct bench b = { 0 };
	long connections;
	int64_t begin;

	if (argc != 9)
		return 2;
	b.ca = argv[2];
	b.cert = argv[3];
	b.key = argv[4];
	(void)snprintf(b.url, sizeof(b.url), "%s/api/v1/namespaces/%s/configmaps", argv[1], argv[5]);
	b.n = strtol(argv[6], NULL, 10);
	b.size = strtol(argv[7], NULL, 10);
	connections = strtol(argv[8], NULL, 10);
	if (b.size < 0 || b.size > SIZE_MAX_KIB * 1024 || connections < 1 || connections > CONNECTIONS_MAX)
		return 2;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	begin = clock_now();
	for (long i = 0; i < connections; i++)
		if (pthread_create(&threads[i], NULL, create_some, &b) != 0)
			abort();
	for (long i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	printf("%.3f\n", (double)(clock_now() - begin) / 1e9);
	return b.failed;
}
