/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of all step types and target kinds; included by main and cmd_*.c only. */
#ifndef WHERRY_STEPS_REGISTRY_H
#define WHERRY_STEPS_REGISTRY_H

#include "step.h"

extern const struct registry registry;

#endif
