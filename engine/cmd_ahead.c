/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a run's stored plan on a thread of its own while the journal is verified, and then helps with the rest of it: at many
 * steps they take about as long as each other. Nothing is believed before the journal has been read and names the hash of the text that was found. */
#include "cmd.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "plan_image.h"
#include "steps/registry.h"

/* So much of the journal, in percent, is verified before the plan is made: the reader is not done earlier than both then. */
#define EARLY 70

struct ahead {
	pthread_t thread;
	struct arena arena;
	const char *name, *text_path, *image_path;
	char sha256[SHA256_HEX]; /* of the text; empty: it could not be read */
	struct plan *plan;       /* from its image, or NULL */
	struct journal_help *help;
};

static void *
look_ahead(void *data)
{
	struct ahead *a = data;
	struct err ignored = ERR_INIT;

	const bool whole = io_hash_file(a->text_path, a->sha256, &ignored) == 0;

	journal_help(a->help, EARLY);
	if (whole)
		a->plan = plan_image_read(&registry, a->name, a->sha256, a->image_path);
	journal_help(a->help, 100);
	return NULL;
}

static const char *
beside(struct arena *a, const char *dir, const char *run, const char *name)
{
	return io_join(a, io_join(a, io_join(a, dir, run), "plan"), name);
}

const char *
front_stored(struct front *f, const char *dir, const char *run)
{
	return beside(&f->arena, dir, run, MAIN_FILE);
}

const char *
front_image(struct front *f, const char *dir, const char *run)
{
	return beside(&f->arena, dir, run, PLAN_IMAGE);
}

struct ahead *
ahead_begin(const char *dir, const char *run)
{
	struct ahead *a = xcalloc(1, sizeof(*a));

	a->help = journal_help_new();
	a->name = arena_printf(&a->arena, "run %s: " MAIN_FILE, run);
	a->text_path = beside(&a->arena, dir, run, MAIN_FILE);
	a->image_path = beside(&a->arena, dir, run, PLAN_IMAGE);
	if (pthread_create(&a->thread, NULL, look_ahead, a) == 0)
		return a;
	journal_help_free(a->help);
	arena_done(&a->arena);
	free(a);
	return NULL;
}

struct journal_help *
ahead_help(const struct ahead *a)
{
	return a != NULL ? a->help : NULL;
}

struct plan *
ahead_end(struct ahead *a, const char *sha256)
{
	struct plan *plan = NULL;

	if (a == NULL)
		return NULL;
	(void)pthread_join(a->thread, NULL);
	if (a->plan != NULL && sha256 != NULL && strcmp(a->sha256, sha256) == 0)
		plan = a->plan;
	else
		plan_free(a->plan);
	journal_help_free(a->help);
	arena_done(&a->arena);
	free(a);
	return plan;
}
