/* SPDX-License-Identifier: Apache-2.0 */
/* One explicit line a step type and a target kind: what is not listed here does not exist. */
#include "steps/registry.h"

#include "steps/target/targets.h"

#ifdef WHERRY_ARCHIVE
#define ARCHIVE_STEPS(X) X(archive_pack_step) X(archive_unpack_step)
#else
#define ARCHIVE_STEPS(X)
#endif

#ifdef WHERRY_WSLAY
#define KUBERNETES_INSIDE_STEPS(X) X(kubernetes_exec_step) X(kubernetes_copy_from_step) X(kubernetes_copy_to_step)
#else
#define KUBERNETES_INSIDE_STEPS(X)
#endif

#define STEPS(X)                    \
	X(exec_step)                \
	X(set_step)                 \
	X(wait_step)                \
	X(assert_step)              \
	X(sleep_step)               \
	X(confirm_step)             \
	X(note_step)                \
	X(file_read_step)           \
	X(file_write_step)          \
	X(file_delete_step)         \
	X(http_request_step)        \
	ARCHIVE_STEPS(X)            \
	X(etcd_status_step)         \
	X(etcd_get_step)            \
	X(etcd_count_step)          \
	X(etcd_put_step)            \
	X(etcd_delete_step)         \
	X(etcd_release_step)        \
	X(etcd_preflight_step)      \
	X(etcd_copy_step)           \
	X(etcd_sync_step)           \
	X(etcd_verify_step)         \
	X(etcd_unchanged_step)      \
	X(etcd_fence_check_step)    \
	X(etcd_fence_step)          \
	X(etcd_grant_step)          \
	X(etcd_user_step)           \
	X(etcd_snapshot_step)       \
	X(etcd_raise_revision_step) \
	X(kubernetes_get_step)      \
	X(kubernetes_list_step)     \
	X(kubernetes_info_step)     \
	X(kubernetes_can_i_step)    \
	X(kubernetes_apply_step)    \
	X(kubernetes_create_step)   \
	X(kubernetes_patch_step)    \
	X(kubernetes_delete_step)   \
	X(kubernetes_scale_step)    \
	X(kubernetes_label_step)    \
	X(kubernetes_annotate_step) \
	X(kubernetes_wait_step)     \
	X(kubernetes_export_step)   \
	X(kubernetes_transform_step) \
	X(kubernetes_preflight_step) \
	X(kubernetes_import_step)   \
	X(kubernetes_compare_step)  \
	X(kubernetes_sleep_step)    \
	X(kubernetes_asleep_step)   \
	X(kubernetes_wake_step)     \
	X(kubernetes_awake_step)    \
	X(kubernetes_remove_step)   \
	X(kubernetes_logs_step)     \
	X(kubernetes_freeze_step)   \
	X(kubernetes_unfreeze_step) \
	X(kubernetes_job_step)      \
	X(helm_status_step)         \
	X(helm_values_step)         \
	X(helm_template_step)       \
	X(helm_upgrade_step)        \
	X(helm_rollback_step)       \
	X(helm_uninstall_step)      \
	KUBERNETES_INSIDE_STEPS(X)

#define DECLARE(name) extern const struct step_type name;
#define ADDRESS(name) &name,

STEPS(DECLARE)

static const struct step_type *const step_list_all[] = {
	STEPS(ADDRESS)
	NULL,
};

static const struct target_type *const target_list_all[] = {
	&process_target,
	&file_target,
	&http_target,
#ifdef WHERRY_ARCHIVE
	&archive_target,
#endif
	&folder_target,
	&etcd_target,
	&kube_target,
	&helm_target,
	NULL,
};

const struct registry registry = { .steps = step_list_all, .targets = target_list_all };
