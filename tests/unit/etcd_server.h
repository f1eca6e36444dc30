/* SPDX-License-Identifier: Apache-2.0 */
/* Real etcd servers for C tests: started on free loopback ports in a folder under /tmp, ended by pid. ETCD_BIN names
 * another server than PATH's. Also a proxy that swallows answers, and small helpers over the target kind. */
#ifndef WHERRY_TESTS_ETCD_SERVER_H
#define WHERRY_TESTS_ETCD_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "steps/target/etcd.h"
#include "steps/target/etcd_paths.h"
#include "steps/target/targets.h"

extern char **environ;

#define STR(s) ((struct bytes){ s, sizeof(s) - 1 })

struct server {
	char dir[64], scheme[8], log[96];
	unsigned port; /* clients; + 1: peers */
	pid_t pid;
	const char *extra[24]; /* more options, NULL-ended */
};

static inline pid_t
spawn(const char *const *argv, const char *log)
{
	posix_spawn_file_actions_t fa;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&fa, 1, 2);
	assert_int_equal(posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&fa);
	return pid;
}

/* A test that fails leaves by longjmp: whatever still runs then ends with the program, by its pid. */
static pid_t started[64];

static inline void
kill_started(void)
{
	for (size_t i = 0; i < countof(started); i++)
		if (started[i] > 0)
			kill(started[i], SIGKILL);
}

static inline void
replace_started(pid_t old, pid_t new)
{
	size_t i = 0;

	while (i + 1 < countof(started) && started[i] != old)
		i++;
	started[i] = new;
}

/* Run a program to its end; its exit code. */
static inline int
run(const char *const *argv)
{
	int status;
	pid_t pid = spawn(argv, "/dev/null");

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static inline bool
port_is_free(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool isfree = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

	close(fd);
	return isfree;
}

/* A pair of ports below the range that the kernel hands out by itself. */
static inline unsigned
free_ports(void)
{
	uint16_t r;
	unsigned port;

	do {
		random_bytes(&r, sizeof(r));
		port = 10000 + r % 11000 * 2;
	} while (!port_is_free(port) || !port_is_free(port + 1));
	return port;
}

static inline void
server_spawn(struct server *s, const char *name, const char *cluster)
{
	const char *bin = getenv("ETCD_BIN"), *argv[64];
	char url[64], peer[64], initial[128];
	size_t n = 0;

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u", s->scheme, s->port);
	snprintf(peer, sizeof(peer), "http://127.0.0.1:%u", s->port + 1);
	snprintf(initial, sizeof(initial), "%s=%s", name, peer);
	argv[n++] = bin != NULL ? bin : "etcd";
	const char *fixed[] = { "--unsafe-no-fsync", "--name", name, "--data-dir", s->dir, "--log-level", "error",
				"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
				"--initial-advertise-peer-urls", peer, "--initial-cluster",
				cluster != NULL ? cluster : initial };
	for (size_t i = 0; i < countof(fixed); i++)
		argv[n++] = fixed[i];
	for (size_t i = 0; s->extra[i] != NULL; i++)
		argv[n++] = s->extra[i];
	argv[n] = NULL;
	s->pid = spawn(argv, s->log);
	if (started[0] == 0)
		atexit(kill_started);
	replace_started(0, s->pid);
}

/* Wait until the client port takes connections. */
static inline void
server_wait(const struct server *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (int i = 0; i < 4800; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool up = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

		close(fd);
		if (up)
			return;
		assert_int_equal(waitpid(s->pid, NULL, WNOHANG), 0);
		usleep(25000);
	}
	fail_msg("etcd does not start, see %s", s->log);
}

static inline void
server_prepare(struct server *s, const char *scheme)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/wherry-etcd-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->log, sizeof(s->log), "%.80s/log", s->dir);
	snprintf(s->scheme, sizeof(s->scheme), "%s", scheme);
	s->port = free_ports();
}

static inline void
server_start(struct server *s, const char *scheme)
{
	server_prepare(s, scheme);
	server_spawn(s, "one", NULL);
	server_wait(s);
}

static inline void
server_kill(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	replace_started(s->pid, 0);
	s->pid = 0;
}

/* Stop it where it is; kill() alone returns before all its threads stand. */
static inline void
server_freeze(struct server *s)
{
	int status;

	kill(s->pid, SIGSTOP);
	assert_int_equal(waitpid(s->pid, &status, WUNTRACED), s->pid);
	assert_true(WIFSTOPPED(status));
}

static inline void
server_restart(struct server *s)
{
	server_kill(s);
	server_spawn(s, "one", NULL);
	server_wait(s);
}

static inline void
server_remove(struct server *s)
{
	server_kill(s);
	if (s->dir[0] != '\0')
		RUN("rm", "-rf", s->dir);
}

/* A client: surroundings and a connection. */
struct client {
	struct arena arena;
	struct opctx cx;
	atomic_int cancel;
	struct etcd_conn *conn;
	struct err err;
};

static inline void
client_init(struct client *c, const char *run_id, uint32_t epoch, int64_t seconds)
{
	*c = (struct client){ .err = ERR_INIT };
	c->cx = (struct opctx){ .arena = &c->arena, .deadline = clock_now() + seconds * NS_PER_S, .cancel = &c->cancel,
				.cancel_fd = -1, .mark = "", .run = run_id, .step = "test", .epoch = epoch };
}

static inline void
time_limit(struct client *c, int64_t ms)
{
	c->cx.deadline = clock_now() + ms * NS_PER_MS;
}

static inline int
client_open(struct client *c, struct etcd_args args, const char *const *urls)
{
	struct value *list = arena_array(&c->arena, 8, sizeof(*list)), *v = arena_alloc(&c->arena, sizeof(*v));
	size_t n = 0;
	void *conn = NULL;
	int rc;

	for (; urls[n] != NULL; n++)
		list[n] = value_str(arena_strdup(&c->arena, urls[n]));
	*v = value_list(list, n);
	args.endpoints = v;
	rc = etcd_target.open(&c->cx, &args, &conn, &c->err);
	c->conn = conn;
	return rc;
}

static inline const char *
server_url(struct client *c, const struct server *s)
{
	return arena_printf(&c->arena, "%s://127.0.0.1:%u", s->scheme, s->port);
}

/* Connect to a plain server as run "r1". */
static inline void
client_to(struct client *c, const struct server *s)
{
	client_init(c, "r1", 1, 120);
	assert_int_equal(client_open(c, (struct etcd_args){ 0 }, (const char *[]){ server_url(c, s), NULL }), 0);
}

static inline void
client_done(struct client *c)
{
	etcd_target.close(c->conn);
	arena_done(&c->arena);
}

#define OK(c, call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, (c)->err.msg); \
	} while (0)
#define FAILS(c, call, want_kind, want_text) \
	do { \
		assert_int_equal((call), -1); \
		if ((c)->err.kind != (want_kind) || strstr((c)->err.msg, want_text) == NULL) \
			fail_msg("%s: got %s: %s", #call, err_kind_name((c)->err.kind), (c)->err.msg); \
	} while (0)

static inline struct effect
effect_of(struct client *c, const char *verb, struct bytes key, struct value body)
{
	return (struct effect){ .on = { NULL, etcd_path_key(&c->arena, key) }, .verb = verb, .body = body,
				.class = EFFECT_PROBE, .says = "test" };
}

static inline int
write_effect(struct client *c, const struct effect *e, struct value *ret)
{
	struct reply r = { 0 };
	int rc = etcd_target.write(&c->cx, c->conn, e, "nonce", &r, &c->err);

	*ret = r.value;
	return rc;
}

static inline int
put_with(struct client *c, struct bytes key, struct bytes value, struct value guard)
{
	struct value v, body = ETCD_MAP(&c->arena, { "value", value_strn(value.p, value.len) }, { "guard", guard });
	struct effect e = effect_of(c, "put", key, body);

	return write_effect(c, &e, &v);
}

static inline int
put(struct client *c, struct bytes key, struct bytes value)
{
	return put_with(c, key, value, VALUE_NULL);
}

static inline int
delete_key(struct client *c, struct bytes key)
{
	struct effect e = effect_of(c, "delete", key, etcd_map(&c->arena, NULL, 0));
	struct value v;

	return write_effect(c, &e, &v);
}

static inline int
read_path(struct client *c, const char *path, struct value *ret)
{
	return etcd_target.read(&c->cx, c->conn, path, ret, &c->err);
}

/* The value of a key, or NULL. */
static inline const char *
get(struct client *c, struct bytes key)
{
	struct value v = VALUE_NULL;

	OK(c, read_path(c, etcd_path_key(&c->arena, key), &v));
	return v.kind == V_NULL ? NULL : value_get_str(&v, "value", "");
}

/* A TCP proxy that knows HTTP/2's frames. swallow 1: the next answer is kept back and its connection cut; 2: the next
 * answer's trailers are kept back and its data says that it was the end. Then swallow is 0 again. */
struct proxy {
	unsigned port, to;
	int listener;
	atomic_int swallow, stop;
	atomic_int swallowed;
	pthread_t thread;
};

static inline int
tcp_connect(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Tamper with a piece of an answer. Returns how much of it goes through, -1: cut the connection. */
static inline ssize_t
tamper(struct proxy *p, unsigned char *data, ssize_t n)
{
	for (ssize_t at = 0; at + 9 <= n;) {
		unsigned char *f = data + at, type = f[3];

		if (type == 1 && atomic_load(&p->swallow) == 1) { /* HEADERS */
			atomic_store(&p->swallow, 0);
			atomic_fetch_add(&p->swallowed, 1);
			return -1;
		}
		if (type == 1 && (f[4] & 1) != 0) { /* with END_STREAM: trailers */
			atomic_store(&p->swallow, 0);
			atomic_fetch_add(&p->swallowed, 1);
			return at;
		}
		if (type == 0) /* DATA */
			f[4] |= 1;
		at += 9 + (f[0] << 16 | f[1] << 8 | f[2]);
	}
	return n;
}

/* Move what is there from one side to the other; false at its end. */
static inline bool
pump(struct proxy *p, int from, int to, bool answer)
{
	static _Thread_local unsigned char data[65536];
	ssize_t n = read(from, data, sizeof(data)), through = n;

	if (n <= 0)
		return false;
	if (answer && atomic_load(&p->swallow) != 0)
		through = tamper(p, data, n);
	return through >= 0 && write(to, data, (size_t)through) == through;
}

static inline void *
proxy_main(void *arg)
{
	struct proxy *p = arg;
	struct pollfd fds[65] = { { .fd = p->listener, .events = POLLIN } };
	size_t n = 1;

	while (!atomic_load(&p->stop)) {
		(void)poll(fds, n, 20);
		for (size_t i = 1; i < n; i++) {
			size_t pair = (i - 1) / 2 * 2 + 1, other = i == pair ? pair + 1 : pair;

			if (fds[i].revents == 0 || pump(p, fds[i].fd, fds[other].fd, i != pair))
				continue;
			close(fds[pair].fd);
			close(fds[pair + 1].fd);
			memmove(&fds[pair], &fds[pair + 2], (n - pair - 2) * sizeof(*fds));
			n -= 2;
			break;
		}
		if ((fds[0].revents & POLLIN) != 0 && n + 2 <= countof(fds)) {
			int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), server = tcp_connect(p->to);

			if (server < 0) {
				close(client);
				continue;
			}
			fds[n++] = (struct pollfd){ .fd = client, .events = POLLIN };
			fds[n++] = (struct pollfd){ .fd = server, .events = POLLIN };
		}
	}
	for (size_t i = 1; i < n; i++)
		close(fds[i].fd);
	return NULL;
}

static inline void
proxy_start(struct proxy *p, unsigned to)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	*p = (struct proxy){ .to = to, .port = free_ports() };
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	at.sin_port = htons((uint16_t)p->port);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(p->listener, 32), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_main, p), 0);
}

static inline void
proxy_stop(struct proxy *p)
{
	atomic_store(&p->stop, 1);
	pthread_join(p->thread, NULL);
	close(p->listener);
}

#ifdef ONE_SERVER
/* The server of a whole group of tests, with its setup and teardown. */
static struct server server = { .extra = { "--bcrypt-cost", "4" } };

static inline int
start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server_start(&server, "http");
	return 0;
}

static inline int
stop(void **state)
{
	(void)state;
	server_remove(&server);
	return 0;
}
#endif

#endif
