/* SPDX-License-Identifier: Apache-2.0 */
/* Every target kind, for steps/registry.c: one line each. */
#ifndef WHERRY_TARGET_TARGETS_H
#define WHERRY_TARGET_TARGETS_H

#include "target.h"

extern const struct target_type etcd_target;

#endif
