/* SPDX-License-Identifier: Apache-2.0 */
/* The contract for target kinds (steps/target/): the only code that reads and writes the world. A kind is one
 * `const struct target_type`. It knows no steps, plans or journals; the door calls it from worker threads. */
#ifndef WHERRY_TARGET_H
#define WHERRY_TARGET_H

#include "base/buf.h"
#include "schema.h"
#include "value.h"

#include <stdatomic.h>

struct effect;
struct target;

/* One call's surroundings. Every blocking function observes cancel and deadline. */
struct opctx {
	struct arena *arena;       /* results live here: as long as the step's attempt */
	int64_t deadline;          /* CLOCK_MONOTONIC ns */
	const atomic_int *cancel;  /* 0 go on, 1 stop at the next safe place, 2 stop now */
	int cancel_fd;             /* becomes readable with cancel */
	const char *run, *step;    /* ids, for markers and marks in a child's environment */
	const char *mark;          /* of the run: no other run has it, whatever its id; "": not known */
	const char *user, *host;   /* who runs it, and where; may be NULL */
	uint32_t epoch;            /* 1 for the first process of this run, +1 for each resume: the fence */
	const char *scratch;       /* the run's folder, for orphan locks; NULL in a dry-run */
	void (*note)(struct opctx *, const char *text); /* shown as progress of the step; may be NULL */
	const void *(*args_of)(const struct target *);  /* for open: the fields of a target that one of its own fields names */
};

/* The world's answer to a write. */
enum outcome { OUTCOME_OK, OUTCOME_DEFINITE, OUTCOME_UNKNOWN };
struct reply {
	enum outcome outcome;
	struct value value;  /* what came back (after-image or {exit_code, stdout, …}); canonical, journalled */
};

/* What a world's object is called: a target and a path in the kind's own syntax. */
struct ref {
	struct target *target;
	const char *path;
};

/* How an effect that began and did not end is settled (design §2.3). */
enum effect_class {
	EFFECT_IDEMPOTENT, /* do it again */
	EFFECT_PROBE,      /* ask the world whether it was done, and by us */
	EFFECT_OPAQUE,     /* stop and ask the operator */
};

struct effect {
	struct ref on;
	const char *verb;
	struct value body;      /* all that the target kind needs; may hold secrets, which are never journalled */
	enum effect_class class;
	const char *says;       /* one sentence: dry-run line, journal, progress and report print it */
	/* Is this reply a success? Asked before the effect settles; -1 with err set: a definite failure. NULL: yes. */
	int (*accept)(const struct reply *, const struct effect *, struct err *);
	const void *accept_data; /* for accept */
	bool read_only;         /* declared to change nothing (a command that only looks): performed in the dry-run too */
};

enum probe { PROBE_DONE_BY_US, PROBE_NOT_DONE, PROBE_OTHER, PROBE_CANNOT_TELL };

enum confidence { CONF_EXACT, CONF_SIMULATED, CONF_PREDICTED, CONF_OPAQUE };

/* What an effect would do. */
struct prediction {
	enum confidence confidence;
	struct value after;              /* into the overlay; UNKNOWN where it cannot be told */
	const char *const *unknowable;   /* NULL-ended: paths on this target that this effect makes unknowable, may be NULL */
	const char *needs;               /* the effect would fail as err says, unless an earlier step makes this path; or NULL */
	bool seen;                       /* for predict: before is what earlier steps would leave, not what the target shows */
};

/* A page of items of an ordered, keyed space (etcd keys, objects). */
struct item {
	struct bytes key, value;
	int64_t revision, created, version, lease; /* mod_revision, create_revision, version, lease; 0 where none */
};
struct query {
	struct target *target;
	struct bytes from, to;   /* [from, to); to empty: exactly `from`; to = "\0": no end (etcd's own convention) */
	int64_t revision;        /* read at this revision, 0: current */
	int64_t min_revision;    /* only items changed at or after, 0: all */
	int64_t limit;           /* items, 0: all; of kinds with `resume`: as many as a page holds */
	bool keys_only, count_only;
	struct bytes resume;     /* where the page before ended, of kinds whose pages tell; empty: from the beginning */
};
struct page {
	struct item *items;
	size_t n;
	bool more;
	struct bytes resume; /* opaque: the next page's; of kinds that are listed in pages of their own size */
	int64_t revision;   /* of the store when it answered; pages of one list that differ in it show different moments */
	int64_t count;      /* of all that match, where asked */
};

/* Changes of a range from a revision on. */
struct change {
	bool deleted;
	struct item item;
};
struct changes {
	struct change *list; /* whole revisions only, in order; n may be 0: progress or time-out of the wait */
	size_t n;
	int64_t revision;    /* everything up to here has been handed over; 0: not known (progress not to be trusted) */
	bool compacted;      /* the start is gone: read anew from compact_revision */
	int64_t compact_revision;
};

/* A bulk effect: one intent, lanes with exactly-once cursors, a claim on the destination. */
enum bulk_guard { GUARD_NONE, GUARD_ABSENT, GUARD_REVISION };
struct op {
	bool del;
	enum bulk_guard guard;
	int64_t revision;       /* GUARD_REVISION: the destination's mod_revision that must still hold */
	struct bytes key, value;
	int64_t lease_ttl;      /* > 0: grant (shared by bucket) and attach a lease of about this many seconds */
};
struct nonce {
	const struct nonce *next;
	const char *text;
};
struct bulk {
	struct target *on;
	const char *verb;        /* "copy", "sync" */
	const char *name;        /* identity of the marker keys: the scope that steps share, e.g. "data" */
	const char *says;
	struct bytes prefix;     /* of the destination's keys, for claim conflicts */
	const char *path;        /* of the destination range: the effect's ref */
	const char *const *unknowable; /* NULL-ended: more paths whose content the stream changes; may be NULL */
	bool lazy;               /* one lane only, and nothing is begun before its first put: without one no trace is left */
	const char *marker_prefix; /* where claim and cursors live on the destination, e.g. "/wherry/" */
	bool keep_markers;       /* a marker for every batch (merge): whose keys are ours can be told later */
	double rate_ops, rate_bytes; /* limits a second, 0: none; kept by the door */
	unsigned window_max;     /* transactions in flight at most, 0: 64; grows from 4 while throughput grows */
	/* the door's own, from the journal: */
	bool held;               /* the run has this claim, and has not released it: where it is gone, nothing may be written */
	const struct nonce *nonces; /* of the run's streams: its claim bears one of them. NULL: whichever it bears */
};
struct batch {
	const struct op *ops;
	size_t n;
	struct bytes cursor;     /* the lane's new cursor, written in the same transaction */
};
/* How a batch went. */
enum put_result { PUT_DONE, PUT_GUARD_FAILED, PUT_TOO_LARGE };

struct target_type {
	const char *kind, *summary;
	const struct field *fields; /* connection fields, as plan targets name them */
	size_t args_size;
	bool local;                 /* needs no declaration in a plan: process, file; http, whose fields are for a declared one */
	bool sensitive;             /* what it holds may be secret: images and bodies never stand in the journal itself */

	/* Connect lazily; the conn is used by several threads at once and locks for itself. */
	int (*open)(struct opctx *, const void *args, void **ret_conn, struct err *);
	void (*close)(void *conn);
	/* Who is at the other end: a short canonical value, journalled and compared on resume. NULL, or null: no identity. */
	int (*identity)(struct opctx *, void *conn, struct value *ret, struct err *);

	/* path syntax is the kind's own and documented with its refs. An absent object reads as null, not as an error. */
	/* A path's one spelling (also of a query's `from`), in which it is journalled and remembered: the engine asks for it
	 * before anything else, and the functions below get no other. May ask the world. NULL: as it is. */
	int (*name)(struct opctx *, void *conn, const char *path, const char **ret, struct err *);
	int (*read)(struct opctx *, void *conn, const char *path, struct value *ret, struct err *);
	/* Which file or folder of this machine does a path name? NULL (also of the hook): none. */
	const char *(*here)(const char *path);
	/* The path, of the kind's own, of what an effect is made from on this machine, or NULL. */
	const char *(*source)(const struct effect *);
	int (*list)(struct opctx *, void *conn, const struct query *, struct page *ret, struct err *);
	int (*watch_open)(struct opctx *, void *conn, const struct query *, void **ret_watch, struct err *);
	/* Wait at most wait_ns for changes; ret lives until the next call. */
	int (*watch_next)(struct opctx *, void *watch, int64_t wait_ns, struct changes *ret, struct err *);
	void (*watch_close)(void *watch);

	/* Perform. 0 with a reply (OK or DEFINITE with value), or -1 with err: ERR_UNKNOWN when the reply was lost after
	 * sending (retryable: by an accident on the way, so that it may be done again at once where `probe` says that it was
	 * not done), else a definite failure. nonce is unique to the effect and kept where the other side can keep it. */
	int (*write)(struct opctx *, void *conn, const struct effect *, const char *nonce, struct reply *ret, struct err *);
	/* Which state does the effect's pre- and after-image show? NULL: `read` of its path. */
	int (*image)(struct opctx *, void *conn, const struct effect *, struct value *ret, struct err *);
	/* Does the world refuse the effect where its object is there already? Then its pre-image is absence, and a run does not ask
	 * for it. NULL: it never does. */
	bool (*fresh)(const struct effect *);
	/* Is it already so? true: the door settles the effect as unchanged, without writing. NULL: never. */
	bool (*same)(const struct effect *, const struct value *before);
	/* What would be after it. NULL: opaque. */
	int (*predict)(struct opctx *, void *conn, const struct effect *, const struct value *before, struct prediction *ret,
		       struct err *);
	/* In a dry-run: keep what a stream would have put, and answer from it a list of what earlier steps would make (false: it
	 * is not known). NULL: what a stream writes is unknown then. */
	int (*foresee)(struct opctx *, void *conn, const struct bulk *, const struct batch *, struct err *);
	bool (*foreseen)(struct opctx *, void *conn, const struct query *, struct page *ret);
	/* After a crash or lost reply: was it done, and by us? NULL: cannot tell. */
	int (*probe)(struct opctx *, void *conn, const struct effect *, const char *nonce, const struct value *before,
		     enum probe *ret, struct err *);
	/* Before anything else about an in-doubt effect: see that what outlived its wherry (a child process, a part of a file) is gone.
	 * ERR_IN_DOUBT at the deadline, naming it. NULL: nothing can outlive. */
	int (*outlived)(struct opctx *, void *conn, const struct effect *, const char *nonce, struct err *);
	/* Does what a settled effect left on this machine still stand? Asked without a connection, when a run is taken up.
	 * ERR_IN_DOUBT, saying what is other. NULL: it may change by right, and is not asked. */
	int (*recheck)(struct opctx *, const char *path, const struct value *after, struct err *);
	const char *recheck_under; /* only of paths that begin so; NULL: of all */
	/* The state that a reply shows: the effect's after-image. NULL: the reply is the image. */
	struct value (*after)(struct arena *, const struct effect *, const struct value *reply);
	/* What of an image counts when the effect is taken back: undo compares this alone, and names the first place where it
	 * differs. before: the effect's pre-image; left: the object as the undo of a later effect left it, which may have made it
	 * anew, or NULL. NULL: all of it, which then is as that undo left it. */
	struct value (*stands)(struct arena *, const struct effect *, const struct value *before, const struct value *image,
			       const struct value *left);
	/* An image as handlers and people may see it, what is secret in it as secrets; for a diff also without what every
	 * write changes. Of what is only read the effect has no verb and no body. NULL: as it is. */
	struct value (*shown)(struct arena *, const struct effect *, const struct value *image, bool diff);
	/* The effect that takes it back, guarded by after: the object as it is now. Of a bulk effect (verb, path and body of
	 * its intent) before is null and after its result. NULL or -1: no inverse. */
	int (*invert)(struct arena *, const struct effect *, const struct value *before, const struct value *after,
		      struct effect *ret, struct err *);
	/* Does an unknowable path of an earlier predicted effect cover this path? NULL: equal, or a trailing '*' prefix. */
	bool (*covers)(const char *unknowable, const char *path);
	/* Does this path cover nothing but itself? Then look-ups need no search. NULL: those without a trailing '*', and none
	 * where covers is set. */
	bool (*plain)(const char *path);
	/* The path of a query, for overlay look-ups. */
	const char *(*query_path)(struct arena *, const struct query *);

	/* Bulk: open takes or renews the claim under the nonce, and look only says whether it could: ERR_IN_DOUBT where a claim
	 * that is held is gone, or bears a nonce that the run does not know; cursor reads a lane's cursor (empty: none); put runs one
	 * guarded transaction for a lane (its resend after a lost reply is settled inside, by the cursor); release removes
	 * claim and markers of name. Different lanes may be used from different threads at once. */
	int (*bulk_open)(struct opctx *, void *conn, const struct bulk *, const char *nonce, void **ret_bulk, struct err *);
	int (*bulk_look)(struct opctx *, void *conn, const struct bulk *, struct err *);
	int (*bulk_cursor)(struct opctx *, void *bulk, unsigned lane, struct bytes *ret, struct err *);
	int (*bulk_put)(struct opctx *, void *bulk, unsigned lane, const struct batch *, enum put_result *ret,
			int64_t *ret_revision, struct err *);
	void (*bulk_close)(void *bulk);
	/* Does the effect release the claims of the marker_prefix and name in its body? NULL: none does. */
	bool (*ends_claims)(const struct effect *);
};

#endif
