/* SPDX-License-Identifier: Apache-2.0 */
/* Plan files at the command line: `plan -o` writes one, `run` takes it. A run reads everything again as it was read for
 * the plan file, from the same folder and with the same -p and --params, and starts only if all of it is as it was. */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "planfile.h"

#define HEAD_MAX 32

struct planfile {
	const char *path, *sha256;
	struct value content;
};

/* Does the file begin as one of ours? false too when it cannot be read: whoever reads it then says why. */
static bool
begins_as_one(const char *path)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char head[HEAD_MAX];
	ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

	if (fd >= 0)
		(void)close(fd);
	return n > 0 && planfile_is(head, (size_t)n);
}

static struct value
words_list(struct front *f, const struct words *w)
{
	struct value *list = arena_array(&f->arena, w->n, sizeof(*list));

	for (size_t i = 0; i < w->n; i++)
		list[i] = value_str(w->v[i]);
	return value_list(list, w->n);
}

/* {name: {sha256, text}} of the plan and all that belongs to it. */
static struct value
kept_closure(struct front *f, const struct plan *plan)
{
	struct journal_file *files;
	const struct value shas = front_closure(f, plan, &files);
	struct pair *all = arena_array(&f->arena, shas.len, sizeof(*all));

	for (uint32_t i = 0; i < shas.len; i++) {
		struct pair *p = arena_array(&f->arena, 2, sizeof(*p));

		p[0] = (struct pair){ "sha256", shas.pairs[i].v };
		p[1] = (struct pair){ "text", value_strn(files[i].p, files[i].len) };
		all[i] = (struct pair){ files[i].name, value_map(p, 2) };
	}
	return value_map(all, shas.len);
}

/* What is there and is no plan file is somebody's work. */
static int
check_place(const char *path, struct err *err)
{
	if (access(path, F_OK) < 0 || begins_as_one(path))
		return 0;
	return err_set(err, ERR_USAGE, "--output '%s': there is a file already, and it is no plan file", path);
}

int
front_planfile_write(struct front *f, const struct plan *plan, const struct value *params, struct foretold *told,
		     struct err *err)
{
	unsigned char random[SHA256_LEN];
	char key[2 * sizeof(random) + 1];
	struct buf text = BUF_INIT(PLANFILE_MAX);
	struct err next = ERR_INIT;
	struct value content;
	int rc;

	if (check_place(f->opt.output, err) < 0)
		return -1;
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), key);
	const struct pair all[] = {
		{ "actions", foretold_actions(told) },
		{ "build", value_str(WHERRY_VERSION) },
		{ "closure", kept_closure(f, plan) },
		{ "cwd", value_str(front_cwd(f)) },
		{ "files", foretold_files(told) },
		{ "given", words_list(f, &f->opt.params) },
		{ "host", value_str(front_host(f)) },
		{ "key", value_str(key) },
		{ "made", value_int(clock_wall_ms()) },
		{ "params", planfile_params(&f->arena, params, (struct bytes){ key, strlen(key) }) },
		{ "params_file", f->opt.params_file != NULL ? value_str(f->opt.params_file) : VALUE_NULL },
		{ "plan", value_str(f->args[0]) },
		{ "targets", foretold_targets(told) },
		{ "user", value_str(front_user(f)) },
	};

	content = value_map(all, countof(all));
	planfile_write(&text, &content);
	rc = text.failed ? err_set(err, ERR_USAGE, "--output: the plan is too large for a plan file")
			 : io_replace(f->opt.output, text.p, text.len, 0600, err);
	buf_done(&text);
	f->typed = (struct typed){ .state = f->typed.state }; /* it has the parameters */
	if (rc == 0 && err_next(&next, "wherry run %s", front_word(f, f->opt.output)) < 0)
		front_error(f, &next);
	return rc;
}

/* Its hash tells of accidents only: whoever writes a file can write its hash. */
static int
check_parts(const struct planfile *file, struct err *err)
{
	static const struct {
		const char *key;
		enum value_kind kind;
	} parts[] = { { "actions", V_LIST }, { "closure", V_MAP }, { "files", V_MAP }, { "given", V_LIST }, { "params", V_MAP }, { "targets", V_MAP } };

	for (size_t i = 0; i < countof(parts); i++) {
		const struct value *v = value_get(&file->content, parts[i].key);

		if (v == NULL || v->kind != parts[i].kind)
			return err_set(err, ERR_REFUSED, "plan file '%s' was not written by wherry: its '%s' is missing or of another kind",
				       file->path, parts[i].key);
	}
	return 0;
}

int
front_planfile(struct front *f, const char *word, struct planfile **ret, struct err *err)
{
	struct err unknown = ERR_INIT;
	const char *path = strcmp(word, "-") != 0 ? front_plan_file(f, word, &unknown) : NULL;
	struct planfile *file = arena_alloc(&f->arena, sizeof(*file));
	struct buf text = BUF_INIT(PLANFILE_MAX + 1);
	char sha[SHA256_HEX];
	int rc;

	if (path == NULL || !begins_as_one(path))
		return 0;
	rc = io_read_file(path, PLANFILE_MAX, &text, err);
	if (rc == 0)
		rc = planfile_parse(&f->arena, path, text.p, text.len, &file->content, err);
	file->path = path;
	if (rc == 0)
		rc = check_parts(file, err);
	if (rc == 0) {
		sha256_hex(text.p, text.len, sha);
		file->sha256 = arena_strdup(&f->arena, sha);
		*ret = file;
	}
	buf_done(&text);
	return rc < 0 ? -1 : 1;
}

static const char *
text_of(const struct planfile *file, const char *key)
{
	return value_get_str(&file->content, key, NULL);
}

/* One of check_parts(). */
static const struct value *
part_of(const struct planfile *file, const char *key)
{
	return value_get(&file->content, key);
}

/* "wherry plan PLAN -o FILE" makes it anew; always -1. */
static int
outdated(struct front *f, const struct planfile *file, struct err *err)
{
	err_wrap(err, "plan file '%s' does not hold any more, nothing was started", file->path);
	return err_next(err, "look again: wherry plan %s -o %s", front_word(f, text_of(file, "plan")), front_word(f, file->path));
}

/* It says everything but how many steps at a time, and who approves. */
static int
refuse_options(const struct front *f, struct err *err)
{
	const struct options *o = &f->opt;

	if (o->params.n + o->only.n + o->from.n + o->until.n == 0 && o->params_file == NULL)
		return 0;
	return err_set(err, ERR_USAGE, "a plan file is run as it is: no -p, --params, --only, --from and --until");
}

/* What was typed then, where it was typed. */
static int
go_there(struct front *f, const struct planfile *file, struct err *err)
{
	const struct value *given = part_of(file, "given");
	const char *cwd = text_of(file, "cwd"), **words = arena_array(&f->arena, given->len + 1, sizeof(*words));

	f->opt.state = front_state(f, err); /* as seen from here */
	if (f->opt.state == NULL)
		return -1;
	for (uint32_t i = 0; i < given->len; i++)
		words[i] = given->items[i].kind == V_STRING ? given->items[i].s : "";
	f->opt.params = (struct words){ words, given->len };
	f->opt.params_file = text_of(file, "params_file");
	return cwd != NULL && chdir(cwd) == 0 ? 0 : err_errno(err, "the folder '%s' in which the plan file was made", cwd);
}

/* Is every file of the closure what it was? */
static int
check_closure(struct front *f, const struct planfile *file, const struct plan *plan, struct err *err)
{
	struct journal_file *files;
	const struct value now = front_closure(f, plan, &files), *was = part_of(file, "closure");

	for (uint32_t i = 0; i < now.len; i++) {
		const struct value *old = value_get(was, now.pairs[i].key);

		if (old == NULL || strcmp(value_get_str(old, "sha256", ""), now.pairs[i].v.s) != 0)
			return err_set(err, ERR_REFUSED, "plan '%s' was edited since", (i == 0 ? plan : plan->parts[i - 1])->file);
	}
	return now.len == was->len ? 0 : err_set(err, ERR_REFUSED, "plan '%s' runs other plans now", plan->file);
}

static struct plan *
load_again(struct front *f, const struct planfile *file, struct err *err)
{
	const char *word = text_of(file, "plan");
	const struct value *root = value_get(part_of(file, "closure"), MAIN_FILE), *kept = root != NULL ? value_get(root, "text") : NULL;
	const struct plan_reader reader = front_reader(f);
	struct buf text = BUF_INIT(YAML_MAX_BYTES + 1);
	struct plan *plan;

	if (word == NULL || kept == NULL || kept->kind != V_STRING) {
		err_set(err, ERR_REFUSED, "plan file '%s' names no plan", file->path);
		return NULL;
	}
	if (strcmp(word, "-") != 0)
		return front_plan(f, word, err);
	buf_put(&text, kept->s, kept->len); /* it came from a pipe, which does not come again */
	plan = front_plan_text("stdin", &text, &reader, err);
	buf_done(&text);
	return plan;
}

struct plan *
front_planfile_plan(struct front *f, const struct planfile *file, struct err *err)
{
	struct plan *plan = NULL;

	if (refuse_options(f, err) == 0 && go_there(f, file, err) == 0)
		plan = load_again(f, file, err);
	if (plan == NULL || check_closure(f, file, plan, err) == 0)
		return plan;
	(void)outdated(f, file, err);
	plan_free(plan);
	return NULL;
}

/* The dry-run that the plan file came from, once more and unseen. */
static int
foretell(const struct run_options *o, struct foretold *told, struct err *err)
{
	struct run_options again = { .mode = MODE_PLAN, .registry = o->registry, .plan = o->plan, .params = o->params,
		.jobs = o->jobs, .run = "dry-run", .tells_files = true };
	struct run_result result = { 0 };
	const int code = front_execute(&again, &(struct report_options){ .format = FORMAT_NONE, .each = foretold_event,
		.data = told }, &result, err);

	if (code <= 0)
		return code;
	*err = told->failure;
	return err_wrap(err, "its dry-run, nothing was started");
}

int
front_planfile_check(struct front *f, const struct planfile *file, const struct run_options *o, struct err *err)
{
	const char *key = value_get_str(&file->content, "key", "");
	struct foretold told = { 0 };
	struct value targets, files, actions;
	int rc;

	if (planfile_compare_params(part_of(file, "params"), o->params, (struct bytes){ key, strlen(key) }, err) < 0)
		return outdated(f, file, err);
	rc = foretell(o, &told, err);
	targets = foretold_targets(&told);
	files = foretold_files(&told);
	actions = foretold_actions(&told);
	if (foretold_compare_targets(part_of(file, "targets"), &targets, err) < 0 ||
	    foretold_compare_files(part_of(file, "files"), &files, err) < 0 ||
	    (rc == 0 && foretold_compare_actions(part_of(file, "actions"), &actions, err) < 0))
		rc = outdated(f, file, err);
	foretold_done(&told);
	return rc;
}

const char *
front_planfile_sha256(const struct planfile *file)
{
	return file->sha256;
}
