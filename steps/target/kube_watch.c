/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a watch: first what is there, page by page, as changes; then what changes, from the list's moment on. A stream that
 * ends or breaks is made anew from the last version seen; while the server is away, that is said and waited for. Where the
 * server has forgotten that version (410), all is listed again, and the difference handed over as changes: for that the
 * keys and versions of what was handed over are remembered.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/target/kube_item.h"
#include "steps/target/kube_known.h"
#include "steps/target/kube_list.h"
#include "steps/target/kube_split.h"

#define SERVED_S 290             /* after so long the server ends a stream by itself */
#define SILENCE (100 * NS_PER_S) /* bookmarks come every minute */
#define FIRST_WAIT (100 * NS_PER_MS)
#define WAIT_MAX (10 * NS_PER_S)
#define TELL_AFTER (5 * NS_PER_S)
#define TELL_EVERY (30 * NS_PER_S)

struct kube_watch {
	struct kube_conn *c;
	struct arena own;           /* of the path */
	struct kube_path path;
	bool from_revision;         /* the caller knows what was there before, and we do not */
	struct kube_known known;
	struct kube_pages pages;    /* while listing */
	char *go_on, *version;      /* where the list goes on, NULL: not listing; where the stream does */
	struct kube_stream *stream; /* NULL: to be made */
	struct kube_skim skim;      /* of the event at the front of the stream's buffer */
	size_t skimmed;             /* bytes of it */
	int64_t opened, heard;
	bool anew;                  /* after a 401 the login was read again */
	bool gone;                  /* 410, and only the caller can begin again */
	int64_t wait, try_at, away_since, told;
	struct arena arena;         /* of what was handed over last */
	struct change *list;
	size_t n, cap;
	bool held;                  /* and not handed over yet: of the first page */
	int64_t held_revision;
};

static void
set_text(char **to, const char *text)
{
	free(*to);
	*to = text != NULL ? xstrdup(text) : NULL;
}

static void
add(struct kube_watch *w, const struct item *it, bool deleted)
{
	if (w->n == w->cap) {
		struct change *more = arena_array(&w->arena, w->cap ? w->cap * 2 : 16, sizeof(*more));

		if (w->n > 0)
			memcpy(more, w->list, w->n * sizeof(*more));
		w->list = more;
		w->cap = w->cap ? w->cap * 2 : 16;
	}
	w->list[w->n++] = (struct change){ .deleted = deleted, .item = *it };
}

static void
add_gone(void *data, const char *key)
{
	struct kube_watch *w = data;
	const char *mine = arena_strdup(&w->arena, key);

	add(w, &(struct item){ .key = { mine, strlen(mine) } }, true);
}

/* What the caller gets to hear as how far it has seen: never 0, which would say nothing. */
static int64_t
how_far(const struct kube_watch *w)
{
	const int64_t n = kube_revision(w->version);

	return n > 0 ? n : 1;
}

static void
drop_stream(struct kube_watch *w)
{
	kube_stream_close(w->stream);
	w->stream = NULL;
}

static void
begin_list(struct kube_watch *w)
{
	drop_stream(w);
	kube_pages_done(&w->pages);
	kube_pages_begin(&w->pages, &w->path);
	w->pages.whole = true; /* a stream follows one moment */
	set_text(&w->go_on, "");
	kube_known_begin(&w->known);
}

/* One page as changes; after the last one what is not there any more. 1: from the beginning. */
static int
list_page(struct opctx *op, struct kube_watch *w, int64_t *ret_revision, struct err *err)
{
	const bool first = w->go_on[0] == '\0';

	w->pages.go_on = w->go_on;
	if (kube_pages_next(op, w->c, &w->pages, err) < 0) {
		w->pages.go_on = "";
		return !first && w->pages.expired ? 1 : -1;
	}
	for (size_t i = 0; i < w->pages.n; i++)
		if (kube_known_set(&w->known, w->pages.items[i].key.p, w->pages.items[i].revision))
			add(w, &w->pages.items[i], false);
	set_text(&w->version, w->pages.version);
	if (w->pages.go_on[0] != '\0') {
		set_text(&w->go_on, w->pages.go_on);
		return 0;
	}
	set_text(&w->go_on, NULL);
	kube_known_end(&w->known, add_gone, w);
	*ret_revision = how_far(w);
	return 0;
}

static int
open_stream(struct opctx *op, struct kube_watch *w, struct err *err)
{
	const char *more = arena_printf(op->arena, "watch=true&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s",
					SERVED_S, kube_paths_encoded(op->arena, w->version));
	const struct kube_ask ask = { .method = "GET", .url = kube_path_url(op->arena, &w->path, more),
		.max = KUBE_ITEM_MAX };

	w->skim = (struct kube_skim){ 0 };
	w->skimmed = 0;
	w->opened = w->heard = clock_now();
	return kube_stream_open(op, w->c, &ask, &w->stream, err);
}

/* The stream cannot go on at our version: list again, or have the caller do it. */
static void
forgotten(struct kube_watch *w)
{
	drop_stream(w);
	if (w->from_revision)
		w->gone = true;
	else
		begin_list(w);
}

static int
malformed(const struct kube_watch *w, struct err *err)
{
	return err_set(err, ERR_FAILED, "%s: the watch of %s: an event that is malformed", kube_conn_name(w->c), w->path.kind);
}

/* An ERROR event: its object is a Status. */
static int
take_error(struct opctx *op, struct kube_watch *w, struct bytes object, struct err *err)
{
	const struct value status = kube_status_parse(op->arena, object.p, object.len);
	const char *text = kube_status_text(op->arena, &status);
	const int64_t code = value_get_int(&status, "code", 0);

	if (text == NULL)
		return malformed(w, err);
	if (code == 410) {
		forgotten(w);
		return 0;
	}
	(void)err_set(err, code >= 500 || code == 429 ? ERR_UNREACHABLE : ERR_FAILED, "%s: the watch of %s ended: %s",
		      kube_conn_name(w->c), w->path.kind, text);
	return -1;
}

/* One event: {"type": …, "object": …}. */
static int
take_event(struct opctx *op, struct kube_watch *w, struct bytes event, struct err *err)
{
	struct bytes key, v, type_text = { 0 }, object = { 0 };
	const char *type, *version;
	struct item it;
	bool deleted;

	while (kube_next_member(&event, &key, &v))
		if (bytes_eq(key, (struct bytes){ "type", 4 }))
			type_text = v;
		else if (bytes_eq(key, (struct bytes){ "object", 6 }))
			object = v;
	type = kube_text_of(op->arena, type_text);
	if (type == NULL || object.len == 0)
		return malformed(w, err);
	if (strcmp(type, "ERROR") == 0)
		return take_error(op, w, object, err);
	if (strcmp(type, "BOOKMARK") == 0) {
		version = kube_item_version(op->arena, object);
		if (version == NULL || version[0] == '\0')
			return malformed(w, err);
		set_text(&w->version, version);
		return 0;
	}
	deleted = strcmp(type, "DELETED") == 0;
	if (!deleted && strcmp(type, "ADDED") != 0 && strcmp(type, "MODIFIED") != 0)
		return malformed(w, err);
	if (kube_item_make(op->arena, &w->path, object, false, &it, &version, err) < 0)
		return err_wrap(err, "%s: the watch of %s", kube_conn_name(w->c), w->path.kind);
	if (!w->from_revision) {
		if (deleted)
			kube_known_drop(&w->known, it.key.p);
		else
			(void)kube_known_set(&w->known, it.key.p, it.revision);
	}
	add(w, &it, deleted);
	if (version[0] != '\0')
		set_text(&w->version, version);
	return 0;
}

/* All whole events that the buffer holds. */
static int
take_events(struct opctx *op, struct kube_watch *w, struct buf *b, struct err *err)
{
	while (w->stream != NULL && b->len > 0) {
		const char *end;

		if (w->skimmed == 0 && strchr(" \r\n\t", b->p[0]) != NULL) {
			buf_consume(b, 1);
			continue;
		}
		if (b->p[0] != '{')
			return malformed(w, err);
		end = kube_skim(&w->skim, b->p + w->skimmed, b->p + b->len);
		if (w->skim.bad)
			return malformed(w, err);
		if (end == NULL) {
			w->skimmed = b->len;
			return 0;
		}
		if (take_event(op, w, (struct bytes){ b->p, (size_t)(end - b->p) }, err) < 0)
			return -1;
		if (w->stream == NULL) /* and its buffer with it */
			return 0;
		buf_consume(b, (size_t)(end - b->p));
		w->skim = (struct kube_skim){ 0 };
		w->skimmed = 0;
	}
	return 0;
}

/* The server is away, or puts us off: go on later. */
static void
put_off(struct opctx *op, struct kube_watch *w, const struct err *err)
{
	const int64_t now = clock_now();

	drop_stream(w);
	w->wait = w->wait == 0 ? FIRST_WAIT : w->wait * 2 < WAIT_MAX ? w->wait * 2 : WAIT_MAX;
	w->try_at = now + w->wait;
	if (w->away_since == 0)
		w->away_since = now;
	if (op->note != NULL && now - w->away_since >= TELL_AFTER && (w->told == 0 || now - w->told >= TELL_EVERY)) {
		w->told = now;
		op->note(op, arena_printf(op->arena, "the watch of %s waits for %s: %s", w->path.kind, kube_conn_name(w->c),
					  err->msg));
	}
}

static void
is_back(struct kube_watch *w)
{
	w->wait = w->away_since = w->told = w->try_at = 0;
	w->anew = false;
}

/* What became of a request or a stream that failed. 0: go on later, or otherwise. */
static int
judge(struct opctx *op, struct kube_watch *w, const struct kube_reply *about, struct err *err)
{
	if (about->status == 410) {
		forgotten(w);
		return 0;
	}
	if (about->status == 401 && !w->anew) {
		w->anew = true;
		drop_stream(w);
		kube_conn_forget(w->c);
		return 0;
	}
	if (about->status == 404 && about->about.kind == V_NULL) {
		kube_kinds_forget(w->c);
		return err_set(err, ERR_FAILED, "%s has no kind '%s' any more", kube_conn_name(w->c), w->path.kind);
	}
	if (!err->retryable || err->kind == ERR_CANCELLED || err->kind == ERR_TIMEOUT)
		return -1;
	put_off(op, w, err);
	return 0;
}

/* One turn on the stream. */
static int
turn(struct opctx *op, struct kube_watch *w, int64_t until, struct err *err)
{
	struct kube_reply about = { 0 };
	struct buf *b = NULL;
	int rc;

	if (w->stream == NULL && open_stream(op, w, err) < 0)
		return judge(op, w, &about, err);
	rc = kube_stream_next(op, w->stream, until, &b, &about, err);
	if (about.status / 100 == 2)
		is_back(w);
	if (b != NULL && b->len > 0) {
		w->heard = clock_now();
		if (take_events(op, w, b, err) < 0) {
			drop_stream(w);
			about.status = 0;
			return err->kind == ERR_UNREACHABLE ? judge(op, w, &about, err) : -1;
		}
		if (w->stream == NULL)
			return 0;
	}
	if (rc < 0 && w->n > 0) { /* what came before the end comes first */
		drop_stream(w);
		return 0;
	}
	if (rc < 0)
		return judge(op, w, &about, err);
	if (rc == 0 && clock_now() - w->opened < NS_PER_S)
		w->try_at = clock_now() + NS_PER_S; /* not in a busy loop */
	if (rc == 0 || clock_now() - w->heard > SILENCE)
		drop_stream(w);
	return 0;
}

void
kube_watch_close(void *watch)
{
	struct kube_watch *w = watch;

	drop_stream(w);
	kube_pages_done(&w->pages);
	kube_known_done(&w->known);
	free(w->go_on);
	free(w->version);
	arena_done(&w->arena);
	arena_done(&w->own);
	free(w);
}

/* The list or the object that is asked for, as the list that is watched. */
static int
set_path(struct opctx *op, struct kube_watch *w, const char *from, struct err *err)
{
	struct arena *const theirs = op->arena;
	int rc;

	op->arena = &w->own;
	rc = kube_path_known(op, w->c, arena_strdup(&w->own, from), &w->path, err);
	op->arena = theirs;
	if (rc < 0)
		return -1;
	if (w->path.sub != NULL)
		return err_set(err, ERR_PLAN, "'%s': a subresource cannot be watched", from);
	if (w->path.name[0] != '\0') {
		w->path.query = arena_printf(&w->own, "fieldSelector=metadata.name%%3D%s", kube_paths_encoded(&w->own, w->path.name));
		w->path.name = "";
	}
	return 0;
}

int
kube_watch_open(struct opctx *op, void *conn, const struct query *q, void **ret_watch, struct err *err)
{
	struct kube_watch *w = xcalloc(1, sizeof(*w));
	struct arena *const theirs = op->arena;
	int rc = 1;

	w->c = conn;
	w->from_revision = q->revision > 0;
	if (set_path(op, w, arena_strndup(op->arena, q->from.p, q->from.len), err) < 0) {
		kube_watch_close(w);
		return -1;
	}
	if (w->from_revision) {
		set_text(&w->version, arena_printf(op->arena, "%" PRIi64, q->revision));
		*ret_watch = w;
		return 0;
	}
	begin_list(w);
	op->arena = &w->arena;
	rc = list_page(op, w, &w->held_revision, err);
	op->arena = theirs;
	if (rc < 0) {
		kube_watch_close(w);
		return -1;
	}
	w->held = true;
	*ret_watch = w;
	return 0;
}

/* The next page of a list, with the server's absence waited for. */
static int
list_turn(struct opctx *op, struct kube_watch *w, int64_t *ret_revision, struct err *err)
{
	const int rc = list_page(op, w, ret_revision, err);

	if (rc == 0)
		is_back(w);
	if (rc > 0)
		begin_list(w);
	return rc < 0 ? judge(op, w, &(struct kube_reply){ 0 }, err) : 0;
}

static void
forget_changes(struct kube_watch *w)
{
	arena_reset(&w->arena);
	w->list = NULL;
	w->n = w->cap = 0;
}

static int
next(struct opctx *op, struct kube_watch *w, int64_t until, struct changes *ret, struct err *err)
{
	int64_t now, revision = 0;

	for (;;) {
		now = clock_now();
		if (peer_cancelled(op) > 0)
			return err_set(err, ERR_CANCELLED, "stopped");
		if (w->gone) {
			*ret = (struct changes){ .compacted = true };
			return 0;
		}
		if (w->try_at > now) {
			kube_sleep(op, w->try_at < until ? w->try_at - now : until - now);
		} else if (w->go_on != NULL) {
			forget_changes(w); /* there are none, but the page before was long */
			if (list_turn(op, w, &revision, err) < 0)
				return -1;
		} else if (turn(op, w, until, err) < 0) {
			return -1;
		}
		if (w->n > 0 && w->go_on == NULL)
			revision = how_far(w);
		if (w->n > 0 || revision > 0) {
			*ret = (struct changes){ .list = w->list, .n = w->n, .revision = revision };
			return 0;
		}
		if (clock_now() >= until)
			return 0;
	}
}

int
kube_watch_next(struct opctx *op, void *watch, int64_t wait_ns, struct changes *ret, struct err *err)
{
	struct kube_watch *w = watch;
	struct arena *const theirs = op->arena;
	const int64_t now = clock_now(), until = wait_ns < op->deadline - now ? now + wait_ns : op->deadline;
	int rc;

	*ret = (struct changes){ 0 };
	if (w->held) {
		w->held = false;
		*ret = (struct changes){ .list = w->list, .n = w->n, .revision = w->held_revision };
		if (ret->n > 0 || ret->revision > 0)
			return 0;
	}
	forget_changes(w);
	op->arena = &w->arena;
	rc = next(op, w, until, ret, err);
	op->arena = theirs;
	return rc;
}
