/* SPDX-License-Identifier: Apache-2.0 */
/* Questions on the terminal. A signal that comes while the operator types ends the process as usual, but never leaves
 * the terminal without echo. */
#include "cmd.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"

#define ANSWER_MAX 4096

bool
front_can_ask(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

static void
show(const char *text)
{
	struct err ignored = ERR_INIT;

	io_write_all(STDERR_FILENO, text, strlen(text), &ignored);
}

/* Wait until a line can be read; the signal that came instead, or 0. */
static int
wait_line(const sigset_t *set)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
				 { .fd = signalfd(-1, set, SFD_CLOEXEC), .events = POLLIN } };
	struct signalfd_siginfo info = { 0 };

	while (poll(fds, 2, -1) < 0)
		;
	if (fds[1].revents != 0 && read(fds[1].fd, &info, sizeof(info)) != sizeof(info))
		info.ssi_signo = SIGTERM;
	close(fds[1].fd);
	return (int)info.ssi_signo;
}

/* Read one line from the terminal; false at its end. */
static bool
read_line(char *ret, size_t size)
{
	ssize_t n = read(STDIN_FILENO, ret, size - 1);

	if (n <= 0)
		return false;
	ret[n] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	return true;
}

/* Ask with the signals of interest held, put the terminal back whatever happens, then let them act. */
static bool
ask(const char *question, bool echo, char *ret, size_t size)
{
	struct termios was, quiet;
	sigset_t set, before;
	bool have_termios = !echo && tcgetattr(STDIN_FILENO, &was) == 0, got = false;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, &before);
	if (have_termios) { /* before the question: an answer that comes at once is neither shown nor dropped */
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	show(question);
	sig = wait_line(&set);
	if (sig == 0)
		got = read_line(ret, size);
	if (have_termios)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	if (!echo || sig != 0)
		show("\n");
	if (sig != 0) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		raise(sig);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return got;
}

bool
front_ask_yes(const char *question)
{
	static const char *const words[] = { "y", "yes", "n", "no", "" };
	char answer[ANSWER_MAX];
	size_t i;

	do {
		if (!ask(question, true, answer, sizeof(answer)))
			return false;
		for (i = 0; i < countof(words) && strcmp(answer, words[i]) != 0; i++)
			;
		if (i == countof(words))
			show("answer y or n\n");
	} while (i == countof(words));
	return i < 2;
}

const char *
front_ask_secret(void *data, const char *prompt)
{
	struct front *f = data;
	char answer[ANSWER_MAX], question[256];
	const char *ret = NULL;

	snprintf(question, sizeof(question), "%s: ", prompt);
	if (ask(question, false, answer, sizeof(answer)))
		ret = arena_strdup(&f->arena, answer);
	explicit_bzero(answer, sizeof(answer));
	return ret;
}
