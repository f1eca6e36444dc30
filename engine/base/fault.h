/* SPDX-License-Identifier: Apache-2.0 */
/* Named fault points and sabotage switches of test builds. In a shipped build both vanish.
 * FAULT("journal.synced") kills the process (or fails, see fault.c) when WHERRY_FAULT names it: "point:n[:action]",
 * n counted from 1, action kill (default) or stop. With WHERRY_FAULT_LOG=FILE each hit is appended as a line.
 * SABOTAGED(X) is 1 only in a build with -DSABOTAGE_X: a build that lacks one safety line, which the tests must catch. */
#ifndef WHERRY_BASE_FAULT_H
#define WHERRY_BASE_FAULT_H

#ifdef WHERRY_FAULTS
void fault_point(const char *name);
#define FAULT(name) fault_point(name)
#else
#define FAULT(name) ((void)0)
#endif

#ifdef SABOTAGE_INTENT_SYNC
#define SABOTAGED_INTENT_SYNC 1
#else
#define SABOTAGED_INTENT_SYNC 0
#endif
#ifdef SABOTAGE_DONE_SYNC
#define SABOTAGED_DONE_SYNC 1
#else
#define SABOTAGED_DONE_SYNC 0
#endif
#ifdef SABOTAGE_DIR_SYNC
#define SABOTAGED_DIR_SYNC 1
#else
#define SABOTAGED_DIR_SYNC 0
#endif
#ifdef SABOTAGE_PRIVATE_SYNC
#define SABOTAGED_PRIVATE_SYNC 1
#else
#define SABOTAGED_PRIVATE_SYNC 0
#endif
#ifdef SABOTAGE_CHAIN
#define SABOTAGED_CHAIN 1
#else
#define SABOTAGED_CHAIN 0
#endif
#ifdef SABOTAGE_LOCK
#define SABOTAGED_LOCK 1
#else
#define SABOTAGED_LOCK 0
#endif
#ifdef SABOTAGE_CLAIM
#define SABOTAGED_CLAIM 1
#else
#define SABOTAGED_CLAIM 0
#endif
#ifdef SABOTAGE_CURSOR
#define SABOTAGED_CURSOR 1
#else
#define SABOTAGED_CURSOR 0
#endif
#ifdef SABOTAGE_INBOX
#define SABOTAGED_INBOX 1
#else
#define SABOTAGED_INBOX 0
#endif
#ifdef SABOTAGE_FRESH
#define SABOTAGED_FRESH 1
#else
#define SABOTAGED_FRESH 0
#endif
#define SABOTAGED(x) SABOTAGED_##x

#endif
