/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a plan: read back it is the plan, field by field; and whatever else is found there is no image. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "fake_registry.h"
#include "plan_image.h"
#include "steps/registry.h"

/* Every word of the language, and every sort of value behind it. */
static const char every_word[] =
	"wherry: v1\n"
	"name: every-word\n"
	"summary: All that a plan can say.\n"
	"params:\n"
	"  text: {type: string, default: a, enum: [a, b], help: Some text., env: SOME_TEXT}\n"
	"  like: {type: string, pattern: '^[a-z]+$', required: true}\n"
	"  count: {type: integer, min: -3, max: 12345678901, default: 7}\n"
	"  part: {type: number, min: 0.25, max: 1e9, default: 0.5}\n"
	"  yes: {type: boolean, default: true}\n"
	"  many: {type: list, items: integer, default: [1, 2]}\n"
	"  map: {type: map, default: {a: {b: [c]}}}\n"
	"  word: {type: string, secret: true}\n"
	"  while: {type: duration, min: 1s, max: 1h, default: 90s}\n"
	"targets:\n"
	"  db: {kind: etcd, endpoints: ['http://a:1', '${{ params.text }}']}\n"
	"pools: {narrow: 1, wide: 300}\n"
	"defaults: {timeout: 5m, retry: {attempts: 3, backoff: 2s, max_backoff: 30s}}\n"
	"finally:\n"
	"- {id: back, uses: undo, with: {step: freeze}}\n"
	"- {id: last, uses: set, with: {values: {ran: '${{ steps.freeze.ran }}'}}}\n"
	"steps:\n"
	"- {id: a, uses: set, with: {values: {n: 1, \"q z\": 'two', \xc3\xa9: [~, {}, []]}}}\n"
	"- id: freeze\n"
	"  uses: exec\n"
	"  with: {argv: [/bin/true]}\n"
	"  undo: {uses: exec, with: {argv: [/bin/false]}}\n"
	"  allow: {exec-not-safe: it does nothing}\n"
	"  on_error: continue\n"
	"- id: b\n"
	"  uses: set\n"
	"  needs: [a, freeze?]\n"
	"  when: ${{ steps.a.outputs.n == 1 }}\n"
	"  with: {values: {m: \"${{ steps.a.outputs.n + 1 }}\"}}\n"
	"  timeout: 1s\n"
	"  retry: {attempts: 9}\n"
	"- {id: c, uses: set, when: false, with: {values: {}}}\n"
	"- {id: look, uses: exec, with: {argv: [/bin/true], read_only: true}}\n"
	"- {id: cut, uses: exec, with: {argv: [/bin/true]}, guard: [look], irreversible: no way back}\n"
	"- {id: all, foreach: '${{ steps.a.outputs.z }}', key: '${{ item.id }}', when: '${{ index > 1 }}', pool: wide, uses: set,"
	" with: {values: {k: '${{ item.id }}'}}}\n"
	"- {id: both, foreach: [1, 2], key: 'n${{ item }}', uses: set, with: {values: {}}}\n"
	"allow: {no-undo: nothing is done}\n"
	"outputs: {n: '${{ steps.b.outputs.m }}'}\n";

static void
dump_pos(struct buf *to, const struct pos *p)
{
	buf_printf(to, " at %s:%u:%u", p->file, p->line, p->col);
}

static void
dump_text(struct buf *to, const char *name, const char *s)
{
	buf_printf(to, " %s=%s%s", name, s != NULL ? ":" : "none", s != NULL ? s : "");
}

static void
dump_node(struct buf *to, const struct node *n)
{
	const size_t parts = n->kind == NODE_MAP ? (size_t)n->len * 2 : n->len;

	buf_printf(to, " (%d %d %u:%u %u", n->kind, n->plain, n->line, n->col, n->len);
	if (n->kind == NODE_SCALAR)
		buf_printf(to, " '%s'", n->s);
	for (size_t i = 0; n->kind != NODE_SCALAR && i < parts; i++)
		dump_node(to, &n->items[i]);
	buf_puts(to, ")");
}

static void
dump_param(struct buf *to, const struct param *p)
{
	const struct field *f = &p->field;

	dump_text(to, "\nparam", f->name);
	buf_printf(to, " %d %d %u %d %d %d %a %a", f->type, f->item, f->offset, f->required, f->secret, f->object, f->min, f->max);
	dump_text(to, "dflt", f->dflt);
	dump_text(to, "pattern", f->pattern);
	dump_text(to, "kind", f->kind);
	dump_text(to, "help", f->help);
	dump_text(to, "env", p->env);
	for (size_t i = 0; f->choices != NULL && f->choices[i] != NULL; i++)
		dump_text(to, "choice", f->choices[i]);
	assert_null(f->members);
	if (p->dflt != NULL)
		dump_node(to, p->dflt);
	dump_pos(to, &p->where);
}

static void
dump_step(struct buf *to, const struct plan *p, const struct step *s)
{
	const struct policy *policy = s->policy;

	dump_text(to, "\nstep", s->id);
	buf_printf(to, " %p %u:%u %d %u", (const void *)s->type, s->line, s->col, s->finally, s->undoes);
	buf_printf(to, " %d %d %d", s->undone, s->pool, s->each);
	buf_printf(to, " policy %lld %u %lld %lld %d", (long long)policy->timeout, policy->retry.attempts,
		   (long long)policy->retry.backoff, (long long)policy->retry.max_backoff, policy->on_error);
	for (uint32_t k = 0; k < s->need_count; k++)
		buf_printf(to, " needs %u%s", p->needs[s->need_first + k].to, p->needs[s->need_first + k].weak ? "?" : "");
	for (uint32_t k = 0; k < s->nguards; k++)
		buf_printf(to, " guard %u", s->guards[k]);
	dump_text(to, "irreversible", s->irreversible);
	dump_node(to, &s->with);
	if (s->when != NULL)
		dump_node(to, s->when);
	if (s->allow != NULL)
		dump_node(to, s->allow);
	assert_int_equal(plan_find(p, s->id, strlen(s->id)), s - p->steps);
}

/* All of a plan but its text, as text. */
static void
dump_plan(struct buf *to, const struct plan *p)
{
	dump_text(to, "plan", p->name);
	dump_text(to, "summary", p->summary);
	dump_text(to, "file", p->file);
	buf_printf(to, " %zu %zu %u %u %u %u", p->nparams, p->ntargets, p->nsteps, p->nmain, p->nneeds, p->npolicies);
	for (size_t i = 0; i < p->nparams; i++)
		dump_param(to, &p->params[i]);
	for (size_t i = 0; i < p->ntargets; i++) {
		dump_text(to, "\ntarget", p->targets[i].name);
		buf_printf(to, " %p", (const void *)p->targets[i].type);
		dump_node(to, &p->targets[i].fields);
		dump_pos(to, &p->targets[i].where);
	}
	for (uint32_t i = 0; i < p->nsteps; i++)
		dump_step(to, p, &p->steps[i]);
	for (uint32_t i = 0; i < p->nundos; i++) {
		buf_printf(to, "\nundo %u %p", p->undos[i].step, (const void *)p->undos[i].type);
		dump_node(to, &p->undos[i].with);
		assert_ptr_equal(plan_undo_of(p, p->undos[i].step), &p->undos[i]);
	}
	for (uint32_t i = 0; i < p->nforeachs; i++) {
		buf_printf(to, "\nforeach %u %d", p->foreachs[i].step, p->foreachs[i].when_each);
		dump_node(to, p->foreachs[i].list);
		dump_node(to, p->foreachs[i].key);
		assert_ptr_equal(plan_foreach_of(p, p->foreachs[i].step), &p->foreachs[i]);
	}
	for (uint32_t i = 0; i < p->npools; i++)
		buf_printf(to, "\npool %s %u", p->pools[i].name, p->pools[i].limit);
	dump_node(to, &p->outputs);
	dump_node(to, &p->allow);
}

struct box {
	struct plan *plan;
	struct buf image;
	char sha256[SHA256_HEX], path[64];
};

/* Load a text and write its image. */
static void
pack(struct box *b, const char *text, size_t len)
{
	struct problems problems = PROBLEMS_INIT;
	struct err err = ERR_INIT;
	int fd;

	*b = (struct box){ .path = "/tmp/wherry-image-XXXXXX", .image = BUF_INIT(0) };
	b->plan = plan_load(&registry, NULL, "p.yaml", text, len, &problems);
	for (size_t i = 0; i < problems.n; i++)
		print_error("%u:%u %s\n", problems.list[i].where.line, problems.list[i].where.col, problems.list[i].msg);
	assert_non_null(b->plan);
	sha256_hex(text, len, b->sha256);
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	(void)close(fd);
	plan_image_write(b->plan, &registry, b->sha256, b->path);
	assert_int_equal(io_read_file(b->path, 1 << 24, &b->image, &err), 0);
}

static void
unpack(struct box *b)
{
	(void)unlink(b->path);
	plan_free(b->plan);
	buf_done(&b->image);
}

/* What n bytes of this are read as. */
static struct plan *
read_bytes(const struct box *b, const char *p, size_t n)
{
	FILE *f = fopen(b->path, "w");

	assert_non_null(f);
	assert_true(fwrite(p, 1, n, f) == n && fclose(f) == 0);
	return plan_image_read(&registry, "p.yaml", b->sha256, b->path);
}

static void
check_same(const char *text, size_t len)
{
	struct buf want = BUF_INIT(0), got = BUF_INIT(0);
	struct plan *p;
	struct box b;

	pack(&b, text, len);
	p = plan_image_read(&registry, "p.yaml", b.sha256, b.path);
	assert_non_null(p);
	dump_plan(&want, b.plan);
	dump_plan(&got, p);
	assert_string_equal(got.p, want.p);
	plan_free(p);
	buf_done(&want);
	buf_done(&got);
	unpack(&b);
}

static void
every_word_survives(void **state)
{
	(void)state;
	check_same(every_word, strlen(every_word));
}

static void
bundled_plans_survive(void **state)
{
	DIR *d = opendir(TESTS_FOLDER "/../plans");
	struct dirent *e;
	unsigned n = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct buf text = BUF_INIT(0);
		struct err err = ERR_INIT;
		char path[1024];

		if (strstr(e->d_name, ".yaml") == NULL)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", TESTS_FOLDER "/../plans", e->d_name);
		assert_int_equal(io_read_file(path, 1 << 24, &text, &err), 0);
		check_same(text.p, text.len);
		buf_done(&text);
		n++;
	}
	(void)closedir(d);
	assert_true(n > 0);
}

static void
long_plan_is_written_in_pieces(void **state)
{
	struct buf text = BUF_INIT(0);

	(void)state;
	buf_puts(&text, "wherry: v1\nname: long\nsteps:\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "- {id: s%d, uses: set, with: {values: {n: %d}}}\n", i, i);
	check_same(text.p, text.len);
	buf_done(&text);
}

static void
other_makers_are_not_believed(void **state)
{
	struct box b;

	(void)state;
	pack(&b, every_word, strlen(every_word));
	assert_null(plan_image_read(&fake_registry, "p.yaml", b.sha256, b.path));
	b.sha256[5] = b.sha256[5] == '0' ? '1' : '0';
	assert_null(plan_image_read(&registry, "p.yaml", b.sha256, b.path));
	b.sha256[5] = b.sha256[5] == '0' ? '1' : '0';
	(void)unlink(b.path);
	assert_null(plan_image_read(&registry, "p.yaml", b.sha256, b.path));
	plan_image_write(b.plan, &registry, b.sha256, "/nowhere/at/all");
	unpack(&b);
}

static void
damage_is_no_image(void **state)
{
	struct box b;

	(void)state;
	pack(&b, every_word, strlen(every_word));
	for (size_t i = 0; i < b.image.len; i++) {
		assert_null(read_bytes(&b, b.image.p, i));
		b.image.p[i] ^= 1;
		assert_null(read_bytes(&b, b.image.p, b.image.len));
		b.image.p[i] ^= 1;
	}
	buf_putc(&b.image, '\0');
	assert_null(read_bytes(&b, b.image.p, b.image.len));
	unpack(&b);
}

/* Bytes that only a forger can have written: no plan or some plan, but never a step outside of them. */
static void
forged_bytes_stay_inside(void **state)
{
	static const unsigned char bytes[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	struct box b;
	uint64_t sum;
	size_t body;

	(void)state;
	pack(&b, every_word, strlen(every_word));
	body = b.image.len - sizeof(sum);
	for (size_t i = 2 * (SHA256_HEX - 1); i < body; i++)
		for (size_t k = 0; k < countof(bytes); k++) {
			struct buf shown = BUF_INIT(0);
			struct plan *p;
			char was = b.image.p[i];

			b.image.p[i] = (char)bytes[k];
			sum = checksum64(0, b.image.p, body); /* it is one piece */
			memcpy(b.image.p + body, &sum, sizeof(sum));
			p = read_bytes(&b, b.image.p, b.image.len);
			if (p != NULL)
				for (uint32_t s = 0; s < p->nsteps; s++) {
					dump_node(&shown, &p->steps[s].with);
					buf_printf(&shown, "%u", p->steps[s].policy->retry.attempts);
					assert_true(p->steps[s].need_first + p->steps[s].need_count <= p->nneeds);
				}
			plan_free(p);
			buf_done(&shown);
			b.image.p[i] = was;
		}
	unpack(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_survives),
		cmocka_unit_test(bundled_plans_survive),
		cmocka_unit_test(long_plan_is_written_in_pieces),
		cmocka_unit_test(other_makers_are_not_believed),
		cmocka_unit_test(damage_is_no_image),
		cmocka_unit_test(forged_bytes_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
