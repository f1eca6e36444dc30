/* SPDX-License-Identifier: Apache-2.0 */
/* wherry journal: print a run's records, or check every batch and say what was found. Reads only. */
#include "cmd.h"

#include <string.h>

struct dump {
	struct arena arena; /* of one record */
	struct buf text;
	bool json;
};

/* Out in pieces: a journal may be larger than memory should be. */
#define DUMP_PIECE 65536

static int
dump_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	struct dump *d = data;
	struct record whole = *r;

	arena_reset(&d->arena);
	if (record_values(&d->arena, &whole, err) < 0)
		return -1;
	if (d->json) {
		record_write(&d->text, &whole);
	} else {
		buf_printf(&d->text, "%llu ", (unsigned long long)seq);
		record_show(&d->text, &whole);
		buf_putc(&d->text, '\n');
	}
	return d->text.len < DUMP_PIECE ? 0 : front_print(&d->text, err);
}

static int
dump(struct front *f, const char *dir, const char *run, struct err *err)
{
	struct dump d = { .arena = ARENA_INIT, .json = front_json(f) };
	struct journal_info info = { 0 };
	int ret = journal_read(dir, run, dump_record, &d, &info, err);

	if (ret == 0)
		ret = front_print(&d.text, err);
	buf_done(&d.text);
	arena_done(&d.arena);
	return ret;
}

static int
check_record(void *data, uint64_t seq, const struct record *r, struct err *err)
{
	return history_apply(data, seq, r, err);
}

static int
verify(struct front *f, const char *dir, const char *run, struct err *err)
{
	struct journal_info info = { 0 };
	struct history history;
	struct buf b = BUF_INIT(0);
	int ret;

	history_init(&history);
	ret = journal_read(dir, run, check_record, &history, &info, err);
	history_done(&history);
	if (ret < 0)
		return -1;
	if (front_json(f)) {
		const struct pair p[] = { { "run", value_str(run) },
					  { "batches", value_int((int64_t)info.batches) },
					  { "records", value_int((int64_t)info.records) },
					  { "bytes", value_int((int64_t)info.bytes) },
					  { "torn", value_bool(info.torn) },
					  { "sealed", value_bool(info.trimmed) } };
		const struct value v = value_map(p, countof(p));

		return front_print_json(&v, err);
	}
	buf_printf(&b, "%s: %llu batches, %llu records, %llu bytes; every batch is whole and chained%s\n", run,
		   (unsigned long long)info.batches, (unsigned long long)info.records,
		   (unsigned long long)info.bytes,
		   info.torn	  ? "; what follows the last is torn (resume sets it aside)"
		   : info.trimmed ? "; sealed"
				  : "");
	ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}

int
cmd_journal(struct front *f, struct err *err)
{
	static const char *const verbs[] = { "dump", "verify" };
	const char *dir = front_state(f, err), *run, *verb = f->args[0];

	if (strcmp(verb, verbs[0]) != 0 && strcmp(verb, verbs[1]) != 0) {
		err_set(err, ERR_USAGE, "'journal' does dump or verify, not '%s'%s", verb,
			front_nearest(f, verb, verbs, countof(verbs)));
		return err_next(err, "wherry help journal");
	}
	run = dir != NULL ? front_run(f, 1, err) : NULL;
	if (run == NULL)
		return -1;
	return verb[0] == 'd' ? dump(f, dir, run, err) : verify(f, dir, run, err);
}
