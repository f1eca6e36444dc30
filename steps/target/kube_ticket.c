/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what counts as an answer of a credential plugin. Its standard output is never shown, not even where it is no JSON;
 * of its standard error the last lines are, without anything that is known or looks to be secret. */
#include "steps/target/kube_ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/target/certs.h"
#include "steps/target/kube_yaml.h"
#include "steps/target/mask.h"

#define LINES_SHOWN 5
#define TEXT_SHOWN 400
#define WORD_MAX 40 /* longer ones may be tokens */

static const char *
text_of(const struct value *status, const char *key)
{
	const char *s = value_get_str(status, key, "");

	return s[0] != '\0' ? s : NULL;
}

/* Text that fits into a header. */
static bool
is_token(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= 0x20 || *s > 0x7e)
			return false;
	return true;
}

static bool
holds_nul(const struct value *v)
{
	for (uint32_t i = 0; v->kind == V_MAP && i < v->len; i++)
		if (v->pairs[i].v.kind == V_STRING && strlen(v->pairs[i].v.s) != v->pairs[i].v.len)
			return true;
	return false;
}

/* When it ends; why it is no use, or NULL. */
static const char *
read_end(struct arena *a, const struct value *status, int64_t *ret)
{
	const struct value *end = value_get(status, "expirationTimestamp");
	const int64_t now = clock_wall_ms();
	char here[32], there[32];

	*ret = INT64_MAX;
	if (end == NULL || end->kind == V_NULL)
		return NULL;
	if (end->kind != V_STRING || end->len < 20 || clock_parse(end->s, now, ret) < 0)
		return "its expirationTimestamp is no RFC 3339 time";
	return *ret > now ? NULL : arena_printf(a, "what it gave has ended at %s, and here it is %s", clock_text(*ret, there),
						clock_text(now, here));
}

static const char *
read_status(struct arena *a, const struct value *status, struct kube_ticket *ret)
{
	const char *token = text_of(status, "token"), *cert = text_of(status, "clientCertificateData"),
		   *key = text_of(status, "clientKeyData");
	char seen[CERT_TEXT];

	if (status == NULL || status->kind != V_MAP)
		return "its answer has no status";
	if (holds_nul(status))
		return "its answer holds a NUL character";
	if ((cert == NULL) != (key == NULL))
		return "clientCertificateData and clientKeyData go together";
	if (token == NULL && cert == NULL)
		return "its answer has neither token nor clientCertificateData";
	if (token != NULL && !is_token(token))
		return "its token holds blanks or control characters";
	if (cert != NULL && !cert_of_text((struct bytes){ cert, strlen(cert) }, seen))
		return "its clientCertificateData holds no certificate";
	if (key != NULL && !cert_key_of_text((struct bytes){ key, strlen(key) }))
		return "its clientKeyData holds no private key";
	ret->token = token != NULL ? xstrdup(token) : NULL;
	ret->cert = cert != NULL ? xstrdup(cert) : NULL;
	ret->key = key != NULL ? xstrdup(key) : NULL;
	return read_end(a, status, &ret->until);
}

static const char *
read_answer(struct arena *a, const struct kube_plugin_spec *spec, const struct buf *out, struct kube_ticket *ret)
{
	struct arena scratch = ARENA_INIT;
	struct err ignored = ERR_INIT; /* it may quote the text */
	struct value v = VALUE_NULL;
	const char *why = NULL;

	if (value_parse_json(&scratch, out->p != NULL ? out->p : "", out->len, &v, &ignored) < 0 || v.kind != V_MAP)
		why = arena_printf(a, "its output, %zu bytes, is not JSON as it has to be", out->len);
	else if (strcmp(value_get_str(&v, "kind", ""), "ExecCredential") != 0)
		why = "its answer is no ExecCredential";
	else if (strcmp(value_get_str(&v, "apiVersion", ""), spec->version) != 0)
		why = arena_printf(a, "its answer is not of the apiVersion %s, as its kubeconfig says", spec->version);
	else
		why = read_status(a, value_get(&v, "status"), ret);
	kube_yaml_wipe(&v);
	arena_done(&scratch);
	return why;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("-_.=+", c) != NULL);
}

/* Take out what may be secret. */
static void
mask(const struct kube_plugin_spec *spec, const struct kube_ticket *t, struct buf *text)
{
	const char *const known[] = { t->token, t->key };
	struct buf masked = BUF_INIT(0);
	size_t len;

	for (size_t i = 0; spec->env[i] != NULL; i++) {
		const char *v = strchr(spec->env[i]->content, '=') + 1;

		mask_bytes(text, (struct bytes){ v, strlen(v) });
	}
	for (size_t i = 0; i < countof(known); i++)
		if (known[i] != NULL)
			mask_bytes(text, (struct bytes){ known[i], strlen(known[i]) });
	for (size_t at = 0; at < text->len; at += len > 0 ? len : 1) {
		for (len = 0; at + len < text->len && is_word(text->p[at + len]);)
			len++;
		if (len > WORD_MAX)
			buf_puts(&masked, "(secret)");
		else
			buf_put(&masked, text->p + at, len > 0 ? len : 1);
	}
	buf_done(text);
	*text = masked;
}

/* "; it says: 'a | b'", or "". */
static const char *
last_words(struct arena *a, const struct buf *text)
{
	struct buf joined = BUF_INIT(0);
	size_t begin = text->len, lines = 0, end;
	const char *ret = "";

	while (begin > 0 && lines < LINES_SHOWN) {
		end = begin;
		while (begin > 0 && text->p[begin - 1] != '\n')
			begin--;
		lines += end > begin;
		if (begin > 0 && lines < LINES_SHOWN)
			begin--;
	}
	for (size_t i = begin; i < text->len; i++)
		if (text->p[i] != '\n')
			buf_putc(&joined, text->p[i]);
		else if (joined.len > 0 && i + 1 < text->len && text->p[i + 1] != '\n')
			buf_puts(&joined, " | ");
	if (joined.len > 0)
		ret = arena_printf(a, "; it says: %s", text_safe(a, joined.p, joined.len, TEXT_SHOWN));
	buf_done(&joined);
	return ret;
}

int
kube_ticket_judge(struct arena *a, const struct kube_plugin_spec *spec, struct proc_result *r, struct kube_ticket *ret,
		  struct err *err)
{
	const char *why;

	*ret = (struct kube_ticket){ 0 };
	if (r->timed_out)
		why = "it gave no answer within a minute";
	else if (r->signal != 0)
		why = arena_printf(a, "it was ended by signal %d", r->signal);
	else if (r->code != 0)
		why = arena_printf(a, "it ended with code %d", r->code);
	else if (r->out_dropped > 0)
		why = "it printed more than 1 MiB";
	else
		why = read_answer(a, spec, &r->out, ret);
	if (why == NULL)
		return 0;
	mask(spec, ret, &r->err);
	kube_ticket_done(ret);
	(void)err_set(err, ERR_UNREACHABLE, "%s: %s%s", spec->what, why, last_words(a, &r->err));
	return spec->hint != NULL ? err_next(err, "%s", text_safe(a, spec->hint, strlen(spec->hint), 500)) : -1;
}

void
kube_ticket_done(struct kube_ticket *t)
{
	char *const all[] = { t->token, t->cert, t->key };

	for (size_t i = 0; i < countof(all); i++) {
		if (all[i] != NULL)
			explicit_bzero(all[i], strlen(all[i]));
		free(all[i]);
	}
	*t = (struct kube_ticket){ 0 };
}
