/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded pool of worker threads. Threads start when first needed; signals are blocked in all of them. */
#ifndef WHERRY_POOL_H
#define WHERRY_POOL_H

#include "base/err.h"

struct pool;
/* work(item) runs on a worker thread for every item handed over. */
struct pool *pool_new(unsigned max, void (*work)(void *item));
/* Hand an item to a worker; the caller keeps the number of items under way at or below max. */
int pool_submit(struct pool *, void *item, struct err *err);
/* Wait for the workers to finish what they have, and free. */
void pool_free(struct pool *);

#endif
