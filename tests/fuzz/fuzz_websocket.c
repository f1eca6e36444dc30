/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what a server can send once the connection is a WebSocket. Input: a byte (size of the pieces that it comes in), then
 * the bytes. Pieces of any size make the same messages, and what waits to be sent stays bounded. (How it ends may differ: nonsense
 * in a close is a close, or nonsense as soon as it is seen.) */
#include <stdlib.h>
#include <string.h>

#include "steps/target/kube_frames.h"

#define MESSAGE_MAX 1000
#define PONG_MAX (6 + 125) /* header, mask, and as much as a ping may hold */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
	const uint8_t *p, *end;
	size_t piece, left; /* of the present turn */
	struct buf messages;
};

static size_t
come(void *data, unsigned char *p, size_t len)
{
	struct talk *t = data;
	size_t n = (size_t)(t->end - t->p);

	n = n < len ? n : len;
	n = n < t->left ? n : t->left;
	if (n > 0)
		memcpy(p, t->p, n);
	t->p += n;
	t->left -= n;
	return n;
}

/* Each message and its length; 'S' as its first byte stops. */
static int
take(void *data, const unsigned char *p, size_t n, struct err *err)
{
	struct talk *t = data;

	if (n > MESSAGE_MAX)
		abort();
	buf_printf(&t->messages, "%zu:", n);
	buf_put(&t->messages, p, n);
	return n > 0 && p[0] == 'S' ? err_set(err, ERR_FAILED, "enough") : 0;
}

/* Did `take` stop it? */
static bool
listen_to(const uint8_t *data, size_t size, struct talk *t)
{
	struct kube_frames *f = kube_frames_new(&(struct kube_frames_spec){ MESSAGE_MAX, come, take, t });
	enum kube_frames_state state = KUBE_FRAMES_OPEN;
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT(0);

	t->p = data;
	t->end = data + size;
	do {
		t->left = t->piece;
		kube_frames_read(f, &err);
		buf_clear(&out);
		while (kube_frames_want_write(f)) {
			const size_t before = out.len;

			kube_frames_write(f, &out);
			if (out.len == before)
				break;
		}
		if (out.len > (size / 2 + 1) * PONG_MAX)
			abort();
		state = kube_frames_state(f);
	} while (state == KUBE_FRAMES_OPEN && t->p < t->end);
	if ((state == KUBE_FRAMES_STOPPED) != (err.msg[0] != '\0') ||
	    (state == KUBE_FRAMES_CLOSED || state == KUBE_FRAMES_BROKEN) != (kube_frames_why(f)[0] != '\0'))
		abort();
	buf_done(&out);
	kube_frames_free(f);
	return state == KUBE_FRAMES_STOPPED;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct talk whole = { .piece = 256, .messages = BUF_INIT(0) }, pieces = { .messages = BUF_INIT(0) };

	if (size < 1)
		return 0;
	pieces.piece = (size_t)data[0] % 16 + 1;
	if (listen_to(data + 1, size - 1, &whole) != listen_to(data + 1, size - 1, &pieces) ||
	    whole.messages.len != pieces.messages.len ||
	    (whole.messages.len > 0 && memcmp(whole.messages.p, pieces.messages.p, whole.messages.len) != 0))
		abort();
	buf_done(&whole.messages);
	buf_done(&pieces.messages);
	return 0;
}
