/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of a WebSocket as a client has them (RFC 6455 §5), by wslay: bytes to messages, and messages to bytes. Pure: no
 * connection and no clock. */
#ifndef WHERRY_TARGET_KUBE_FRAMES_H
#define WHERRY_TARGET_KUBE_FRAMES_H

#include "base/buf.h"
#include "base/err.h"

struct kube_frames;

struct kube_frames_spec {
	size_t max; /* bytes of a message; a larger one breaks it off */
	/* Up to len bytes that have come, into p; 0: none now. */
	size_t (*come)(void *data, unsigned char *p, size_t len);
	/* A binary message has come; -1 with err: no more of them. */
	int (*take)(void *data, const unsigned char *p, size_t n, struct err *err);
	void *data;
};

struct kube_frames *kube_frames_new(const struct kube_frames_spec *);
void kube_frames_free(struct kube_frames *); /* may be NULL */

enum kube_frames_state {
	KUBE_FRAMES_OPEN,
	KUBE_FRAMES_CLOSED,  /* by the server, as the protocol has it */
	KUBE_FRAMES_BROKEN,  /* the server breaks the protocol */
	KUBE_FRAMES_STOPPED, /* by `take`, whose err it is */
};
/* Take all that has come; nothing while too many answers to pings wait to be sent. */
void kube_frames_read(struct kube_frames *, struct err *err);
/* May it be read, or do too many answers wait? */
bool kube_frames_want_read(const struct kube_frames *);
/* After a read, and a write of what that answers. */
enum kube_frames_state kube_frames_state(struct kube_frames *);
/* One line on why it is CLOSED or BROKEN. */
const char *kube_frames_why(const struct kube_frames *);

/* Give a binary message, which is copied; or a ping. */
void kube_frames_send(struct kube_frames *, const void *p, size_t n);
void kube_frames_ping(struct kube_frames *);
/* Nothing that is given from now on is sent. */
void kube_frames_end(struct kube_frames *);
/* Is there something to be sent that is not framed yet? */
bool kube_frames_want_write(const struct kube_frames *);
/* Append what is to be sent to `to`, up to a bound. */
void kube_frames_write(struct kube_frames *, struct buf *to);

#endif
