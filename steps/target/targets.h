/* SPDX-License-Identifier: Apache-2.0 */
/* Every target kind, for steps/registry.c and the tests. */
#ifndef WHERRY_STEPS_TARGETS_H
#define WHERRY_STEPS_TARGETS_H

#include "target.h"

extern const struct target_type process_target;
extern const struct target_type file_target;
extern const struct target_type http_target;
extern const struct target_type archive_target; /* where libarchive is */
extern const struct target_type folder_target;
extern const struct target_type etcd_target;
extern const struct target_type kube_target;
extern const struct target_type helm_target;

#endif
