/* SPDX-License-Identifier: Apache-2.0 */
/* The command to type next, as it has to be typed here: where the folder of the runs came from the command line, a
 * command that looks for a run needs it again. */
#include <string.h>

#include "base/text.h"
#include "event.h"

static bool
looks_for_runs(const char *subcommand)
{
	static const char *const names[] = { "run ", "resume ", "abort ", "status ", "resolve ", "report ", "journal ", "runs" };

	for (size_t i = 0; i < countof(names); i++)
		if (strncmp(subcommand, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

const char *
next_typed(const char *state, const char *next, struct buf *room)
{
	static const char program[] = "wherry ";
	const char *at = next != NULL && state != NULL ? strstr(next, program) : NULL;

	if (at == NULL || !looks_for_runs(at + strlen(program)))
		return next;
	at += strlen(program);
	buf_clear(room);
	buf_put(room, next, (size_t)(at - next));
	buf_puts(room, "--state ");
	text_shell_word(room, state, strlen(state));
	buf_putc(room, ' ');
	buf_puts(room, at);
	return room->p;
}
