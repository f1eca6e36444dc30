/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one child process from spawn to reaping. It leads a process group of its own and stays unreaped until the end,
 * so that a signal to the group cannot hit a stranger. Its output is always drained, however much there is, and a
 * grandchild that keeps a pipe open can delay the end by DRAIN_NS at most. */
#include "base/proc.h"

#include "base/arena.h"
#include "base/capture.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 16384
#define DRAIN_NS (200 * NS_PER_MS)
#define SLICE_NS (100 * NS_PER_MS) /* how often to look when nothing would wake us */

struct output {
	int fd;
	struct capture kept;
};

struct child {
	const struct proc_spec *spec;
	pid_t pid;
	int pidfd; /* -1: the kernel had none to give, look every SLICE_NS */
	int in;
	size_t written;
	struct output out, err;
	bool ended, timed_out, cancelled, killed;
	int64_t kill_at;     /* NEVER until the group got its TERM */
	int64_t drain_until; /* NEVER until ended */
};

enum { IN, OUT, ERR, PIDFD, CANCEL, WATCHED };

static void
shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void
output_read(struct output *o)
{
	char chunk[CHUNK];
	ssize_t n = read(o->fd, chunk, sizeof(chunk));

	if (n > 0)
		capture_add(&o->kept, chunk, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		shut(&o->fd);
}

/* The file that argv[0] names, or NULL; the caller frees it. Relative PATH entries would depend on the folder. */
static char *
find_program(const char *name, const char *const *env)
{
	const char *dir = NULL, *end;
	struct stat st;
	char *path;

	if (strchr(name, '/') != NULL)
		return xstrdup(name);
	for (; *env != NULL && dir == NULL; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			dir = *env + 5;
	for (; dir != NULL && name[0] != '\0'; dir = *end == ':' ? end + 1 : NULL) {
		end = strchrnul(dir, ':');
		if (*dir != '/')
			continue;
		path = xasprintf("%.*s/%s", (int)(end - dir), dir, name);
		if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			return path;
		free(path);
	}
	return NULL;
}

/* Both ends of up to three pipes: [0] to read from, [1] to write to. */
struct pipes {
	int in[2], out[2], err[2];
};

static int
open_pipes(struct pipes *p, bool with_stdin, struct err *err)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0)
		return err_errno(err, "open pipe");
	/* Only our end may not block: the child shares the state of its own. */
	if (with_stdin && (pipe2(p->in, O_CLOEXEC) < 0 || fcntl(p->in[1], F_SETFL, O_NONBLOCK) < 0))
		return err_errno(err, "open pipe");
	return 0;
}

static void
close_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		shut(&p->in[i]);
		shut(&p->out[i]);
		shut(&p->err[i]);
	}
}

static int
set_actions(const struct proc_spec *spec, const struct pipes *p, posix_spawn_file_actions_t *to)
{
	int rc = p->in[0] >= 0 ? posix_spawn_file_actions_adddup2(to, p->in[0], STDIN_FILENO)
			       : posix_spawn_file_actions_addopen(to, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(to, p->out[1], STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(to, p->err[1], STDERR_FILENO);
	/* A dup2 onto itself is how a spawned child, and it alone, loses the close-on-exec flag. */
	if (rc == 0 && spec->keep_fd >= 0)
		rc = posix_spawn_file_actions_adddup2(to, spec->keep_fd, spec->keep_fd);
	if (rc == 0 && spec->cwd != NULL)
		rc = posix_spawn_file_actions_addchdir_np(to, spec->cwd);
	return rc;
}

/* Spawn path; returns an errno. */
static int
spawn(const struct proc_spec *spec, const char *path, const struct pipes *p, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	(void)posix_spawn_file_actions_init(&actions); /* neither init can fail in glibc */
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)sigfillset(&set);
	(void)posix_spawnattr_setsigdefault(&attr, &set);
	(void)sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(&attr, &set);
	rc = set_actions(spec, p, &actions);
	if (rc == 0)
		rc = posix_spawn(ret, path, &actions, &attr, (char *const *)(uintptr_t)spec->argv,
				 (char *const *)(uintptr_t)spec->env);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int
cancel_level(const struct proc_spec *spec)
{
	return spec->cancel != NULL ? atomic_load(spec->cancel) : 0;
}

static int
start(const struct proc_spec *spec, struct child *ret, struct err *err)
{
	char *path = find_program(spec->argv[0], spec->env), why[128];
	struct pipes p;
	pid_t pid;
	int rc = -1;

	if (path == NULL)
		return err_set(err, ERR_FAILED, "start '%s': not found in PATH", spec->argv[0]);
	if (open_pipes(&p, spec->stdin_data.len > 0, err) < 0)
		goto out;
	rc = spawn(spec, path, &p, &pid);
	if (rc != 0) {
		err_set(err, ERR_FAILED, "start '%s'%s%s%s: %s%s", path, spec->cwd ? " in '" : "", spec->cwd ? spec->cwd : "",
			spec->cwd ? "'" : "", strerror_r(rc, why, sizeof(why)),
			rc == ENOENT && spec->cwd == NULL && access(path, F_OK) == 0 ? " (its interpreter)" : "");
		err->sys = rc;
		goto out;
	}
	*ret = (struct child){
		.spec = spec,
		.pid = pid,
		.pidfd = pidfd_open(pid, 0),
		.in = p.in[1],
		.out = { .fd = p.out[0], .kept = { .cap = spec->cap, .kept = BUF_INIT(0) } },
		.err = { .fd = p.err[0], .kept = { .cap = spec->cap, .kept = BUF_INIT(0) } },
		.kill_at = NEVER,
		.drain_until = NEVER,
	};
	p.in[1] = p.out[0] = p.err[0] = -1;
out:
	close_pipes(&p);
	free(path);
	return rc == 0 ? 0 : -1;
}

static void
feed(struct child *c)
{
	const struct bytes *data = &c->spec->stdin_data;
	ssize_t n = write(c->in, (const char *)data->p + c->written, data->len - c->written);

	if (n > 0)
		c->written += (size_t)n;
	/* A child that does not read its input (EPIPE) is free to do so. */
	if (c->written == data->len || (n < 0 && errno != EINTR && errno != EAGAIN))
		shut(&c->in);
}

/* Send what the deadline and the cancellation ask for. */
static void
enforce(struct child *c, bool woken, int64_t now)
{
	int level = cancel_level(c->spec);

	if (c->ended)
		return;
	if (c->kill_at == NEVER && (level > 0 || woken || now >= c->spec->deadline)) {
		c->cancelled = level > 0 || woken;
		c->timed_out = !c->cancelled;
		c->kill_at = now > NEVER - c->spec->grace ? NEVER - 1 : now + c->spec->grace;
		(void)kill(-c->pid, SIGTERM);
		/* A stopped group would keep the TERM pending for ever. */
		(void)kill(-c->pid, SIGCONT);
	}
	if (!c->killed && (now >= c->kill_at || level >= 2)) {
		c->killed = true;
		(void)kill(-c->pid, SIGKILL);
	}
}

/* How long poll may sleep, in milliseconds. */
static int
sleep_ms(const struct child *c, int64_t now)
{
	int64_t at = c->ended ? c->drain_until : c->kill_at == NEVER ? c->spec->deadline : c->killed ? NEVER : c->kill_at;
	bool blind = c->pidfd < 0 || (c->spec->cancel != NULL && (c->spec->cancel_fd < 0 || c->kill_at != NEVER));

	if (blind && !c->ended && at - now > SLICE_NS)
		at = now + SLICE_NS;
	if (at == NEVER)
		return -1;
	if (at <= now)
		return 0;
	at = (at - now - 1) / NS_PER_MS + 1;
	return at < INT_MAX ? (int)at : INT_MAX;
}

static bool
has_ended(const struct child *c, short revents)
{
	siginfo_t si = { 0 };

	if (c->pidfd >= 0)
		return revents != 0;
	return waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid != 0;
}

/* Serve the child until it has ended and nobody holds its pipes, or their time is up. */
static void
serve(struct child *c)
{
	struct pollfd fds[WATCHED] = { 0 };
	int64_t now = clock_now();

	while (!c->ended || ((c->out.fd >= 0 || c->err.fd >= 0) && now < c->drain_until)) {
		enforce(c, fds[CANCEL].revents != 0, now);
		fds[IN] = (struct pollfd){ .fd = c->in, .events = POLLOUT };
		fds[OUT] = (struct pollfd){ .fd = c->out.fd, .events = POLLIN };
		fds[ERR] = (struct pollfd){ .fd = c->err.fd, .events = POLLIN };
		fds[PIDFD] = (struct pollfd){ .fd = c->ended ? -1 : c->pidfd, .events = POLLIN };
		/* Once seen it stays readable and would only keep us awake. */
		fds[CANCEL] = (struct pollfd){ .fd = c->kill_at == NEVER ? c->spec->cancel_fd : -1, .events = POLLIN };
		if (poll(fds, WATCHED, sleep_ms(c, now)) < 0)
			for (int i = 0; i < WATCHED; i++)
				fds[i].revents = 0;
		now = clock_now();
		if (fds[IN].revents != 0)
			feed(c);
		if (fds[OUT].revents != 0)
			output_read(&c->out);
		if (fds[ERR].revents != 0)
			output_read(&c->err);
		if (!c->ended && has_ended(c, fds[PIDFD].revents)) {
			c->ended = true;
			c->drain_until = c->kill_at != NEVER && !c->killed ? c->kill_at : now + DRAIN_NS;
			shut(&c->in);
		}
	}
}

/* A key pressed at the terminal, at a child that was not yet in a group of its own: it has done nothing. */
static bool
died_unborn(const struct child *c)
{
	siginfo_t si = { 0 };

	return c->kill_at == NEVER && waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOWAIT) == 0 && si.si_code == CLD_KILLED &&
	       (si.si_status == SIGINT || si.si_status == SIGQUIT) && !proc_began(c->pid);
}

/* Its end. False: it never became its program, and is to be started again. */
static bool
reap(struct child *c, struct proc_result *ret)
{
	const bool unborn = died_unborn(c);
	int status = 0;
	pid_t pid;

	/* Whoever of a condemned group outlived its leader; the group still exists, for the leader is not yet reaped. */
	if (c->kill_at != NEVER)
		(void)kill(-c->pid, SIGKILL);
	while ((pid = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
		;
	shut(&c->in);
	shut(&c->pidfd);
	*ret = (struct proc_result){
		.pid = c->pid,
		.code = pid == c->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		.signal = pid == c->pid && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		.timed_out = c->timed_out,
		.cancelled = c->cancelled,
	};
	shut(&c->out.fd);
	shut(&c->err.fd);
	ret->out = capture_end(&c->out.kept);
	ret->err = capture_end(&c->err.kept);
	ret->out_dropped = c->out.kept.dropped;
	ret->err_dropped = c->err.kept.dropped;
	return !unborn;
}

int
proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *err)
{
	struct child c;

	if (cancel_level(spec) > 0)
		return err_set(err, ERR_CANCELLED, "'%s' was not started: cancelled", spec->argv[0]);
	if (clock_now() >= spec->deadline)
		return err_set(err, ERR_TIMEOUT, "'%s' was not started: the deadline had passed", spec->argv[0]);
	while (start(spec, &c, err) == 0) {
		serve(&c);
		if (reap(&c, ret))
			return 0;
		proc_result_done(ret);
	}
	return -1;
}

void
proc_result_done(struct proc_result *r)
{
	buf_done(&r->out);
	buf_done(&r->err);
}
