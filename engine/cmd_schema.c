/* SPDX-License-Identifier: Apache-2.0 */
/* wherry schema: the JSON Schema of the plan language, for editors and for checks before wherry is at hand. */
#include "cmd.h"

#include "language.h"
#include "steps/registry.h"

int
cmd_schema(struct front *f, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int ret;

	(void)f;
	language_schema(&registry, &b);
	ret = front_print(&b, err);
	buf_done(&b);
	return ret;
}
