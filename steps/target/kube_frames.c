/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the bytes of a WebSocket mean. A server cannot fill our memory: messages are bounded, and nothing is read while too
 * many answers to its pings wait to be sent. */
#include "steps/target/kube_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/hash.h"

#define OUT_MAX ((size_t)128 << 10) /* framed, waiting to be sent */
#define QUEUE_MAX 1024              /* messages, which are answers to pings but for one */

struct kube_frames {
	struct kube_frames_spec spec;
	wslay_event_context_ptr wslay;
	struct buf *out; /* of the present write */
	struct err *err; /* of the present read */
	bool stopped, foreign;
	char why[80];
};

static ssize_t
on_recv(wslay_event_context_ptr wslay, uint8_t *p, size_t len, int flags, void *data)
{
	struct kube_frames *f = data;
	const size_t n = f->stopped ? 0 : f->spec.come(f->spec.data, p, len);

	(void)flags;
	if (n > 0)
		return (ssize_t)n;
	wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static ssize_t
on_send(wslay_event_context_ptr wslay, const uint8_t *p, size_t len, int flags, void *data)
{
	struct kube_frames *f = data;

	(void)flags;
	if (f->out->len + len > OUT_MAX) {
		wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	buf_put(f->out, p, len);
	return (ssize_t)len;
}

static int
on_mask(wslay_event_context_ptr wslay, uint8_t *p, size_t len, void *data)
{
	(void)wslay, (void)data;
	random_bytes(p, len);
	return 0;
}

static void
on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *m, void *data)
{
	struct kube_frames *f = data;

	(void)wslay;
	if (f->stopped || f->foreign || wslay_is_ctrl_frame(m->opcode))
		return;
	if (m->opcode != WSLAY_BINARY_FRAME)
		f->foreign = true;
	else if (f->spec.take(f->spec.data, m->msg, m->msg_length, f->err) < 0)
		f->stopped = true;
}

struct kube_frames *
kube_frames_new(const struct kube_frames_spec *spec)
{
	const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_msg_recv_callback = on_message,
	};
	struct kube_frames *f = xcalloc(1, sizeof(*f));

	f->spec = *spec;
	if (wslay_event_context_client_init(&f->wslay, &callbacks, f) != 0)
		abort(); /* out of memory, as xmalloc */
	wslay_event_config_set_max_recv_msg_length(f->wslay, spec->max);
	return f;
}

void
kube_frames_free(struct kube_frames *f)
{
	if (f == NULL)
		return;
	wslay_event_context_free(f->wslay);
	free(f);
}

bool
kube_frames_want_read(const struct kube_frames *f)
{
	return wslay_event_get_queued_msg_count(f->wslay) < QUEUE_MAX;
}

/* Why the frames have ended without the server's close. */
static const char *
fault_of(const struct kube_frames *f)
{
	if (f->foreign)
		return "the server sent a message of text, which has no meaning here";
	if (wslay_event_get_status_code_sent(f->wslay) == WSLAY_CODE_MESSAGE_TOO_BIG)
		return "the server sent a message that is too large";
	return "the server broke the WebSocket protocol";
}

void
kube_frames_read(struct kube_frames *f, struct err *err)
{
	f->err = err;
	if (kube_frames_want_read(f))
		(void)wslay_event_recv(f->wslay);
}

enum kube_frames_state
kube_frames_state(struct kube_frames *f)
{
	if (f->stopped)
		return KUBE_FRAMES_STOPPED;
	if (wslay_event_get_close_received(f->wslay)) {
		(void)snprintf(f->why, sizeof(f->why), "the server closed the connection with code %u",
			       (unsigned)wslay_event_get_status_code_received(f->wslay));
		return KUBE_FRAMES_CLOSED;
	}
	if (!f->foreign && wslay_event_get_read_enabled(f->wslay))
		return KUBE_FRAMES_OPEN;
	(void)snprintf(f->why, sizeof(f->why), "%s", fault_of(f));
	return KUBE_FRAMES_BROKEN;
}

const char *
kube_frames_why(const struct kube_frames *f)
{
	return f->why;
}

void
kube_frames_send(struct kube_frames *f, const void *p, size_t n)
{
	(void)wslay_event_queue_msg(f->wslay, &(struct wslay_event_msg){ WSLAY_BINARY_FRAME, p, n });
}

void
kube_frames_ping(struct kube_frames *f)
{
	(void)wslay_event_queue_msg(f->wslay, &(struct wslay_event_msg){ WSLAY_PING, NULL, 0 });
}

void
kube_frames_end(struct kube_frames *f)
{
	wslay_event_shutdown_write(f->wslay);
}

bool
kube_frames_want_write(const struct kube_frames *f)
{
	return wslay_event_want_write(f->wslay);
}

void
kube_frames_write(struct kube_frames *f, struct buf *to)
{
	f->out = to;
	(void)wslay_event_send(f->wslay);
}
