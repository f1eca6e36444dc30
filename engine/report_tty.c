/* SPDX-License-Identifier: Apache-2.0 */
/* The live view: a block at the bottom with one line a running step (bar, rate, ETA) and one of totals; what has ended
 * scrolls up above it. Redrawn at most ten times a second, and everything of one redraw is one write. Lines are cut to
 * the terminal's width, parts that do not fit are left out, the least telling first. */
#include "report_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/text.h"

#define FRAME (NS_PER_S / 10)
#define MAX_LINES 16
#define BAR_MAX 24
#define BAR_MIN 6

struct tty {
	int width, height;
	size_t lengths[MAX_LINES + 2]; /* of the lines on the screen */
	size_t drawn;                  /* how many there are */
	size_t asked;                  /* rows of the prompt that stands last on the screen, its cursor behind it */
	int64_t drawn_at;
	bool dirty;
	struct buf above;              /* lines that wait to scroll up, to stderr */
	struct buf results;            /* text of a dry-run that waits, to stdout */
};

static void
tty_resized(struct report *r)
{
	struct tty *t = r->state;
	struct winsize size = { 0 };

	t->width = 80;
	t->height = 24;
	if (ioctl(r->opt.err, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		t->width = size.ws_col;
		t->height = size.ws_row > 0 ? size.ws_row : 24;
	}
	t->dirty = true;
}

static void *
tty_open(struct report *r)
{
	struct tty *t = xcalloc(1, sizeof(*t));

	r->state = t;
	tty_resized(r);
	return t;
}

/* Bytes of the first `columns` characters. */
static size_t
cut(const char *s, size_t len, size_t columns)
{
	size_t i = 0;

	while (i < len && columns-- > 0)
		do
			i++;
		while (i < len && ((unsigned char)s[i] & 0xc0) == 0x80);
	return i;
}

static size_t
columns_of(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

enum part { PART_NAME, PART_BAR, PART_SHARE, PART_AMOUNT, PART_RATE, PART_TIME, PARTS };

static void
put_count(struct buf *b, uint64_t n, const char *unit)
{
	char text[32];

	if (strcmp(unit, "bytes") == 0) {
		buf_puts(b, size_text(n, text));
		return;
	}
	buf_printf(b, "%llu ", (unsigned long long)n);
	put_safe(b, unit);
}

/* Every part of a running step's line that is known, the bar left out. */
static void
make_parts(const struct running *run, int64_t now, struct buf part[PARTS])
{
	char text[32];
	int64_t elapsed = (now - run->started) / NS_PER_S * NS_PER_S;

	put_safe(&part[PART_NAME], run->step);
	if (run->total > 0 && run->done <= run->total)
		buf_printf(&part[PART_SHARE], "%.0f %%", 100.0 * (double)run->done / (double)run->total);
	if (run->done > 0)
		put_count(&part[PART_AMOUNT], run->done, run->unit);
	if (run->rate >= 1) {
		put_count(&part[PART_RATE], (uint64_t)run->rate, run->unit);
		buf_puts(&part[PART_RATE], "/s");
	}
	if (run->rate > 0 && run->total > run->done) {
		double left = (double)(run->total - run->done) / run->rate;

		if (left < 8640000)
			buf_printf(&part[PART_TIME], "ETA %s", duration_text((int64_t)(left + 1) * NS_PER_S, text));
	} else {
		buf_puts(&part[PART_TIME], elapsed > 0 ? duration_text(elapsed, text) : "0s");
	}
}

static void
put_bar(struct buf *b, const struct running *run, size_t width)
{
	size_t full = (size_t)((double)(width - 2) * (double)run->done / (double)run->total);

	buf_putc(b, '[');
	for (size_t i = 0; i + 2 < width; i++)
		buf_putc(b, i < full ? '=' : i == full ? '>' : ' ');
	buf_putc(b, ']');
}

/* One line of at most width columns: the name first, then as many parts as fit by how much they tell. */
static void
running_line(const struct running *run, int64_t now, size_t width, struct buf *b)
{
	static const enum part telling[] = { PART_SHARE, PART_TIME, PART_RATE, PART_AMOUNT };
	struct buf part[PARTS] = { 0 };
	bool shown[PARTS] = { [PART_NAME] = true };
	size_t name, least, used = 0, room;

	make_parts(run, now, part);
	name = columns_of(part[PART_NAME].p, part[PART_NAME].len);
	least = name < width / 2 ? name : width / 2; /* half of the line belongs to the name, however long it is */
	for (size_t i = 0; i < countof(telling); i++) {
		size_t need = part[telling[i]].len + 2;

		shown[telling[i]] = need > 2 && least + used + need <= width;
		if (shown[telling[i]])
			used += need;
	}
	if (name > width - used)
		name = width - used;
	part[PART_NAME].len = cut(part[PART_NAME].p, part[PART_NAME].len, name);
	room = width - used - name;
	if (run->total > 0 && run->done <= run->total && room >= BAR_MIN + 2) {
		put_bar(&part[PART_BAR], run, room - 2 < BAR_MAX ? room - 2 : BAR_MAX);
		shown[PART_BAR] = true;
	}
	for (size_t p = 0; p < PARTS; p++) {
		if (shown[p] && p > 0)
			buf_puts(b, "  ");
		if (shown[p])
			buf_put(b, part[p].p, part[p].len);
		buf_done(&part[p]);
	}
}

/* Append a line of the block, cut to the width. */
static void
put_line(struct tty *t, struct buf *to, const struct buf *line)
{
	size_t len = cut(line->p, line->len, (size_t)t->width - 1);

	buf_put(to, line->p, len);
	buf_puts(to, "\033[K\n");
	t->lengths[t->drawn++] = columns_of(line->p, len);
}

static void
put_block(struct report *r, int64_t now, struct buf *to)
{
	struct tty *t = r->state;
	size_t max = t->height > MAX_LINES + 3 ? MAX_LINES : t->height > 4 ? (size_t)t->height - 3 : 1;
	struct buf line = BUF_INIT(0);
	char text[32];

	if (r->nrunning == 0)
		return;
	buf_puts(to, "\033[?7l");
	for (size_t i = 0; i < r->nrunning && i < max; i++) {
		buf_clear(&line);
		running_line(&r->running[i], now, (size_t)t->width - 1, &line);
		put_line(t, to, &line);
	}
	buf_clear(&line);
	report_counts(r, &line);
	if (now - r->opened >= NS_PER_S)
		buf_printf(&line, ", %s", duration_text((now - r->opened) / NS_PER_S * NS_PER_S, text));
	put_line(t, to, &line);
	buf_puts(to, "\033[?7h");
	buf_done(&line);
}

/* Take the block off the screen: a terminal that became narrower has wrapped its lines. */
static void
put_erase(struct tty *t, struct buf *to)
{
	size_t rows = 0;

	if (t->asked > 0) {
		if (t->asked > 1)
			buf_printf(to, "\033[%zuA", t->asked - 1);
		buf_puts(to, "\r\033[J");
	}
	for (size_t i = 0; i < t->drawn; i++)
		rows += t->lengths[i] == 0 ? 1 : (t->lengths[i] + (size_t)t->width - 1) / (size_t)t->width;
	if (rows > 0)
		buf_printf(to, "\033[%zuA\r\033[J", rows);
	t->drawn = t->asked = 0;
}

/* The question is the last thing on the screen, and what is typed stands behind it. */
static void
put_prompt(const struct report *r, struct buf *to)
{
	struct tty *t = r->state;

	buf_printf(to, "%s%s%s ", paint(r, PAINT_BOLD), r->prompt, paint(r, PAINT_OFF));
	t->asked = columns_of(r->prompt, strlen(r->prompt)) / (size_t)t->width + 1;
}

static void
draw(struct report *r, int64_t now, bool block)
{
	struct tty *t = r->state;
	struct buf out = BUF_INIT(0);

	put_erase(t, &out);
	buf_put(&out, t->above.p, t->above.len);
	buf_clear(&t->above);
	if (t->results.len > 0) {
		report_write(r, r->opt.err, &out);
		report_write(r, r->opt.out, &t->results);
	}
	if (block && r->prompt != NULL)
		put_prompt(r, &out);
	else if (block)
		put_block(r, now, &out);
	report_write(r, r->opt.err, &out);
	buf_done(&out);
	t->drawn_at = now;
	t->dirty = false;
}

static int64_t
tty_tick(struct report *r, int64_t now)
{
	struct tty *t = r->state;
	int64_t due = t->drawn_at + (t->dirty ? FRAME : NS_PER_S);

	if (r->prompt != NULL && t->asked > 0 && t->above.len == 0) /* nothing moves under what is being typed */
		return NEVER;
	if (!t->dirty && r->nrunning == 0)
		return NEVER;
	if (now < due)
		return due - now;
	draw(r, now, true);
	return r->nrunning > 0 ? NS_PER_S : NEVER;
}

/* An answer that was typed has moved the cursor to a new line; a question that was withdrawn is cleared away. */
static void
tty_prompt(struct report *r)
{
	struct tty *t = r->state;
	struct buf clear = BUF_INIT(0);

	if (r->prompt != NULL) {
		draw(r, clock_now(), true);
		return;
	}
	t->asked = 0;
	buf_puts(&clear, "\r\033[J");
	report_write(r, r->opt.err, &clear);
	buf_done(&clear);
}

static void
tty_event(struct report *r, const struct event *e)
{
	struct tty *t = r->state;
	const bool moves = e->kind == EVENT_START || e->kind == EVENT_PROGRESS;
	struct buf line = BUF_INIT(0);

	t->dirty = true;
	if (r->dry_run && report_plan_text(r, e, &t->results))
		;
	else if (!moves && report_line(r, e, &line))
		buf_printf(&t->above, "%s\n", line.len > 0 ? line.p : "");
	buf_done(&line);
	if (clock_now() - t->drawn_at >= FRAME)
		draw(r, clock_now(), true);
}

static void
tty_close(struct report *r)
{
	struct tty *t = r->state;

	draw(r, clock_now(), false);
	buf_done(&t->above);
	buf_done(&t->results);
	free(t);
	r->state = NULL;
}

const struct view view_tty = {
	.open = tty_open,
	.event = tty_event,
	.tick = tty_tick,
	.resized = tty_resized,
	.prompt = tty_prompt,
	.close = tty_close,
};
