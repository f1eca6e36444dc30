/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a command's exit means, and the words for it. What a command does is opaque to wherry, so the plan says how one
 * that began and whose end is not known is settled: again (idempotent), by asking (probe), or, by default, by a person. */
#include "steps/command.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define SAYS_MAX 200
#define STDERR_MAX 300

static int
check_argv(const char *name, const struct value *argv, struct err *err)
{
	if (argv->kind == V_UNKNOWN)
		return 0;
	if (argv->len == 0 || (argv->items[0].kind == V_STRING && argv->items[0].len == 0))
		return err_set(err, ERR_PLAN, "%s: the command is empty", name);
	return 0;
}

int
command_check(const struct command *c, struct err *err)
{
	const struct value *codes = c->expect_codes;

	if (c->idempotent + c->read_only + (c->probe != NULL) > 1)
		return err_set(err, ERR_PLAN, "only one of idempotent, probe and read_only can be given");
	if (check_argv("argv", c->argv, err) < 0 || (c->probe != NULL && check_argv("probe", c->probe, err) < 0))
		return -1;
	if (c->input != NULL && c->input->kind != V_STRING && c->input->kind != V_SECRET && c->input->kind != V_UNKNOWN)
		return err_set(err, ERR_PLAN, "stdin must be a string");
	if (codes != NULL && codes->kind == V_LIST && codes->len == 0)
		return err_set(err, ERR_PLAN, "expect_codes is empty: no exit code would do");
	for (size_t i = 0; codes != NULL && codes->kind == V_LIST && i < codes->len; i++)
		if (codes->items[i].kind == V_INT && (codes->items[i].i < 0 || codes->items[i].i > 255))
			return err_set(err, ERR_PLAN, "expect_codes: %" PRIi64 " is not an exit code (0 to 255)",
				       codes->items[i].i);
	return 0;
}

enum effect_class
command_class(const struct command *c)
{
	return c->idempotent ? EFFECT_IDEMPOTENT : c->probe != NULL ? EFFECT_PROBE : EFFECT_OPAQUE;
}

static void
quote(struct buf *to, const struct value *word)
{
	if (word->kind == V_STRING)
		text_shell_word(to, word->s, word->len);
	else
		value_show(to, word);
}

const char *
command_says(struct step_ctx *cx, const struct value *argv, const char *where)
{
	struct buf text = BUF_INIT(64 << 10);
	const char *ret;

	buf_puts(&text, "run");
	for (size_t i = 0; argv->kind == V_LIST && i < argv->len; i++) {
		buf_putc(&text, ' ');
		quote(&text, &argv->items[i]);
	}
	if (argv->kind != V_LIST) {
		buf_putc(&text, ' ');
		value_show(&text, argv);
	}
	ret = text_safe(step_arena(cx), text.p, text.len, SAYS_MAX);
	buf_done(&text);
	return where[0] != '\0' ? step_text(cx, "%s %s", ret, where) : ret;
}

size_t
command_body(const struct command *c, struct pair *pairs)
{
	size_t n = 0;

	pairs[n++] = (struct pair){ "argv", *c->argv };
	if (c->input != NULL)
		pairs[n++] = (struct pair){ "stdin", *c->input };
	pairs[n++] = (struct pair){ "max_output", value_int(c->max_output) };
	pairs[n++] = (struct pair){ "grace", value_int(c->grace) };
	if (c->probe != NULL)
		pairs[n++] = (struct pair){ "probe", *c->probe };
	return n;
}

bool
command_expects(const struct command *c, int64_t code)
{
	if (c->expect_codes == NULL)
		return code == 0;
	for (size_t i = 0; i < c->expect_codes->len; i++)
		if (c->expect_codes->items[i].i == code)
			return true;
	return false;
}

/* The end of what the command said: whole lines where they fit. */
static void
last_lines(struct buf *to, const struct value *text)
{
	const char *p = text->s, *newline;
	size_t len = text->len;

	while (len > 0 && (p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (len > STDERR_MAX) {
		p += len - STDERR_MAX;
		len = STDERR_MAX;
		newline = memchr(p, '\n', len);
		if (newline != NULL) {
			len -= (size_t)(newline + 1 - p);
			p = newline + 1;
		}
	}
	text_escape(to, p, len);
}

/* A command that says by its exit code that it failed has failed; one that was killed did not say how far it came. What
 * may run again without harm is worth another try. */
int
command_failed(const struct reply *reply, const struct effect *e, int64_t code, int64_t sig, struct err *err)
{
	const struct value *said = value_get(&reply->value, "stderr");
	struct buf tail = BUF_INIT(0);

	if (said != NULL && said->kind == V_STRING && said->len > 0) {
		buf_puts(&tail, ": ");
		last_lines(&tail, said);
	}
	if (sig != 0)
		err_set(err, e->read_only ? ERR_FAILED : ERR_UNKNOWN, "the command was ended by signal %" PRIi64 " (%s)%s", sig,
			sigdescr_np((int)sig) != NULL ? sigdescr_np((int)sig) : "unknown", tail.len > 0 ? tail.p : "");
	else
		err_set(err, ERR_FAILED, "the command ended with exit code %" PRIi64 "%s", code,
			tail.len > 0 ? tail.p : "");
	err->retryable = e->read_only || e->class != EFFECT_OPAQUE;
	buf_done(&tail);
	return -1;
}

int
command_put_outputs(struct step_ctx *cx, const struct value *reply, struct err *err)
{
	static const char *const names[] = { "code", "stdout", "stderr" };
	const int64_t dropped = value_get_int(reply, "stdout_dropped", 0) + value_get_int(reply, "stderr_dropped", 0);
	const bool unknown = reply->kind == V_UNKNOWN;

	for (size_t i = 0; i < countof(names); i++) {
		const struct value *v = unknown ? reply : value_get(reply, names[i]);

		if (step_output(cx, names[i], v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	if (dropped > 0)
		step_note(cx, "%" PRIi64 " bytes in the middle of the output are over max_output and were not kept",
			  dropped);
	return step_output(cx, "truncated", unknown ? *reply : value_bool(dropped > 0), err);
}

const struct field command_outputs[] = {
	{ "code", F_INT, .help = "the exit code" },
	{ "stdout", F_BYTES, .help = "what it wrote to standard output" },
	{ "stderr", F_BYTES, .help = "what it wrote to standard error" },
	{ "truncated", F_BOOL, .help = "was output over max_output left out" },
	{ 0 },
};
