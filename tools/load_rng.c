/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to virtio-rng devices: a buffer to be filled with random bytes. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tools/load.h"
#include "util.h"

/* Behind what the device may write, and before it has. */
#define RNG_PAD		64u
#define RNG_EMPTY	0xa5

/* Fewer bytes may be alike by chance. */
#define RNG_JUDGED	16u

static int rng_open(struct load *l)
{
	if (l->params.queues > 1)
		return load_wrong(l, "a source of random numbers has one queue");
	load_add_queue(l, LOAD_ACTIVE);
	return 0;
}

static int rng_started(struct load *l)
{
	(void)l;
	return 0;
}

static void rng_close(struct load *l)
{
	(void)l;
}

static bool rng_prepare(struct load_queue *q, struct load_slot *s)
{
	const struct load_params *p = &q->load->params;

	if (p->verify)
		memset(s->data, RNG_EMPTY, p->block + RNG_PAD);
	s->in[0] = (struct iovec){ .iov_base = s->data, .iov_len = p->block };
	s->nin = 1;
	return true;
}

static bool rng_all_empty(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != RNG_EMPTY)
			return false;
	return true;
}

/* Bytes as they can only come from a source of them, and only where it says that they are. */
static int rng_check(struct load *l, const struct load_slot *s, uint32_t len)
{
	size_t half = len / 2;

	if (!rng_all_empty(s->data + len, l->params.block + RNG_PAD - len))
		return load_wrong(l, "the back-end wrote behind the %u bytes which it says", len);
	if (len < RNG_JUDGED)
		return 0;
	if (rng_all_empty(s->data + half, len - half) || !memcmp(s->data, s->data + half, half))
		return load_wrong(l, "%u bytes from the back-end are not random", len);
	l->verified++;
	return 0;
}

static int64_t rng_done(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	int err = 0;

	if (!len)
		return load_wrong(q->load, "the back-end gave no bytes");
	if (q->load->params.verify)
		err = rng_check(q->load, s, len);
	return err ? err : (int64_t)len;
}

const struct load_ops load_rng = {
	.name = "rng",
	.title = "source of random numbers",
	.unit = "requests",
	.block = 64, .block_min = 1, .block_max = 65536, .block_unit = 1,
	.descs = 1,
	.head = 64,
	.pad = RNG_PAD,
	.open = rng_open,
	.started = rng_started,
	.close = rng_close,
	.prepare = rng_prepare,
	.done = rng_done,
};
