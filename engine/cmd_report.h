/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of wherry report: the folded run and the story between its steps, which both of its forms tell. */
#ifndef WHERRY_CMD_REPORT_H
#define WHERRY_CMD_REPORT_H

#include "base/hash.h"
#include "cmd.h"

/* A record that tells a story between the steps; texts may be NULL. */
struct logged {
	int64_t wall; /* ms */
	enum record_type type;
	const char *step, *status, *answer, *user, *host, *build, *msg;
	uint32_t code;
};

struct telling {
	struct front *front;
	struct opened opened;
	const struct plan *plan; /* NULL when the stored copy cannot be loaded any more */
	struct logged *log;
	size_t nlog, cap;
	bool live; /* does a process hold the run */
	uint32_t counts[STEP_STATUSES];
	uint64_t effects;
};

/* What a report may say about an object: it may hold what no report should. */
struct image {
	bool known, absent;
	char kind[48], sha256[SHA256_HEX];
	size_t bytes;
};

/* Canonical bytes as a value in the arena of the process, or null when there are none. */
struct value telling_parse(const struct telling *, const char *text);
struct image telling_image(const struct hist_effect *, enum image_of);
/* Was it in the world, and is it not any more? */
bool is_taken_back(const struct hist_step *, const struct hist_effect *);
const char *effect_state_name(enum effect_state);
/* cmd_report_json.c: all of it as one object; lives as long as the process. */
struct value telling_value(const struct telling *);

#endif
