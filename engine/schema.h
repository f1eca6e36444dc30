/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of typed fields: one description of step inputs and outputs, target connections and plan parameters, that
 * drives checking, binding into a C struct, the reference page and help. */
#ifndef WHERRY_SCHEMA_H
#define WHERRY_SCHEMA_H

#include "expr.h"
#include "value.h"
#include "yaml.h"

enum field_type {
	F_STRING,   /* const char *      no NUL inside */
	F_BYTES,    /* struct bytes      any bytes */
	F_INT,      /* int64_t */
	F_NUMBER,   /* double */
	F_BOOL,     /* bool */
	F_PATH,     /* const char *      "~/" expanded */
	F_URL,      /* const char *      scheme://host… */
	F_DURATION, /* int64_t           nanoseconds, from "90s" */
	F_SIZE,     /* int64_t           bytes, from 1048576 or "1MiB" */
	F_LIST,     /* const struct value * (V_LIST), items of type .item */
	F_MAP,      /* const struct value * (V_MAP) */
	F_ANY,      /* const struct value * */
	F_SECRET,   /* const struct secret *; also accepts a plain string in a value that came from an expression */
	F_TARGET,   /* struct target *   of kind .kind */
	F_EXPR,     /* const struct expr *  evaluated later over `value` */
	F_CALL,     /* const struct call *  a nested step {uses, with}, read-only */
};

struct field {
	const char *name;
	enum field_type type;
	enum field_type item;       /* F_LIST: type of the items (F_ANY by default is F_STRING = 0; set it) */
	uint16_t offset;            /* offsetof in the args struct; for outputs unused */
	bool required, secret;      /* secret: the value may hold secrets (else one is refused) */
	bool reads;                 /* F_TARGET: the step changes nothing there, whatever its inputs are */
	const char *dflt;           /* default as YAML scalar text, or NULL: absent (NULL, 0, false) */
	const char *const *choices; /* NULL-ended allowed strings, or NULL */
	const char *pattern;        /* POSIX extended regular expression, or NULL */
	double min, max;            /* for numbers, durations (ns), sizes; both 0: no limit */
	const char *kind;           /* F_TARGET: target kind */
	const struct field *members; /* F_MAP: what it may hold; NULL: anything */
	const char *help;           /* one sentence; required by a test */
	bool object;                /* with the other such fields it names what the step writes */
};

/* "string", "list of string", … for messages and pages. */
const char *field_type_name(const struct field *f, char ret[32]);
/* The field of this name, or NULL. */
const struct field *schema_field(const struct field *fields, const char *name);
/* Does no scalar in the tree hold an expression? */
bool schema_is_literal(const struct node *n);
/* Static check of a with-map against fields: unknown and missing names (with nearest), types of all that is not an
 * expression. target_kind gives the kind of the target that a node names; it reports an unknown one itself and
 * returns NULL then. What hides in expressions and nested calls is the caller's. */
void schema_check(const struct field *fields, const struct node *with, struct pos at, const char *file,
		  const char *(*target_kind)(void *data, const struct node *name), void *data, struct problems *problems);
/* Check a map that takes no expressions and no targets, and bind it into args (zeroed by the caller; what has a
 * problem stays so). -1 when there was any. */
int schema_read(const struct field *fields, const struct node *map, struct pos at, const char *file, struct arena *a,
		void *args, struct problems *problems);
/* Bind only what is literal (and defaults); true when nothing was left out. For static checks of args: targets, and
 * expressions that the step evaluates, are not NULL where they are given, and not to be looked into. */
bool schema_bind_literals(const struct field *fields, const struct node *with, struct arena *a, void *args);

/* What binding needs from outside: finds targets and nested calls by name. */
struct bind_env {
	struct expr_host *host;
	const struct expr_env *expr;
	const char *file;                                            /* of the nodes, for places */
	struct target *(*target)(void *data, const char *name, struct err *err);
	const struct call *(*call)(void *data, struct arena *a, const struct node *n, struct err *err);
	void *data;
};
/* Evaluate a with-map and bind it into args (zeroed by the caller). ret_inputs, if not NULL, gets the evaluated map
 * (targets by name, exprs as source): the step's digest and the dry-run print come from it.
 * An UNKNOWN for a field that is not F_ANY, F_LIST, F_MAP: ERR_PREDICTED, naming the field and why. null into a
 * required field is an error. */
int schema_bind(const struct field *fields, const struct node *with, const struct bind_env *env, struct arena *a,
		void *args, struct value *ret_inputs, struct err *err);
/* Check one value for a field and give its normal form: paths expanded, sizes as integers, integers in place of a
 * string as text, items of lists too. Parameters use it. ret may share memory with v. */
int schema_value(const struct field *f, const struct value *v, struct arena *a, struct value *ret, struct err *err);
/* What a field with a default is when nothing is given. */
struct value schema_default(const struct field *f);
/* As schema_value, into the member that dst points at; null leaves it alone. */
int schema_convert(const struct field *f, const struct value *v, struct arena *a, void *dst, struct err *err);

#endif
