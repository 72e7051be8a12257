/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: the ring formats by themselves, over raw memory.
 *
 * Without queue, device and socket, so that an input costs microseconds.  The parts of the ring and
 * each region of guest memory are allocated by themselves, so that the address sanitizer sees
 * each access beyond one of them.
 */
#include <stdlib.h>

#include "libvhost/ring.h"
#include "tests/fuzz/input.h"
#include "tests/stepped.h"

#define NUM_MAX		16u
#define REGIONS		4u

/* The first two touch each other; the others have gaps before them. */
static const struct mem_span walker_spans[REGIONS] = {
	{ .start = 0x1000, .size = 0x100 },
	{ .start = 0x1100, .size = 0x80 },
	{ .start = 0x2000, .size = 0x200 },
	{ .start = UINT64_MAX - 0xff, .size = 0x100 },
};

struct walker {
	struct input in;
	struct ring ring;
	struct ring_req req;		/* the one taken last */
	struct chain_env env;
	struct mem_map *map;
	size_t area_len[3];		/* of conf.desc, driver, device, bytes */
	struct ring_elem held[NUM_MAX];	/* taken and not published, in order */
	unsigned int nheld;
	unsigned int latest;		/* the last so many may be put back */
	bool broken;
};

static struct mem_map *walker_map(void)
{
	struct mem_map *map = calloc(1, sizeof(*map) + sizeof(walker_spans));
	unsigned int i;

	stepped_check(map);
	map->count = REGIONS;
	memcpy(map->spans, walker_spans, sizeof(walker_spans));
	for (i = 0; i < REGIONS; i++) {
		map->spans[i].hva = calloc(1, map->spans[i].size);
		stepped_check(map->spans[i].hva);
	}
	return map;
}

static void walker_free_map(struct mem_map *map)
{
	unsigned int i;

	for (i = 0; i < map->count; i++)
		free(map->spans[i].hva);
	free(map);
}

/*
 * What the driver writes
 */

static void walker_write(struct walker *w, uint8_t *to, size_t size)
{
	uint16_t at = input_u16(&w->in);
	uint8_t buf[32], n = input_u8(&w->in) % sizeof(buf);

	input_bytes(&w->in, buf, n);
	at = (uint16_t)(at % size);
	memcpy(to + at, buf, MIN(n, size - at));
}

/* An address which is likely to be one. */
static uint64_t walker_addr(struct walker *w)
{
	uint8_t region = input_u8(&w->in), off = input_u8(&w->in);

	if (region & 0x80)
		return input_u64(&w->in);
	return walker_spans[region % REGIONS].start + off;
}

static void walker_desc(struct walker *w, struct vring_desc *d)
{
	uint8_t kind = input_u8(&w->in);

	d->addr = htole64(walker_addr(w));
	d->len = htole32(kind & 0x80 ? input_u32(&w->in) : (uint32_t)(kind & 15) * 16);
	/* Both layouts have 16 bits each of flags and of next or id, the other way round. */
	d->flags = htole16(input_u8(&w->in) | (kind & 0x40 ? 0x8000 : 0));
	d->next = htole16(input_u8(&w->in) | (kind & 0x20 ? 0x8000 : 0));
}

static void walker_avail(struct walker *w)
{
	struct vring_avail *avail = w->ring.conf.driver;
	uint8_t head = input_u8(&w->in), n = input_u8(&w->in);
	uint16_t idx;

	if (w->ring.ops == &packed_ops)
		return;
	idx = le16toh(avail->idx);
	avail->ring[idx & (w->ring.conf.num - 1)] = htole16(head);
	avail->idx = htole16((uint16_t)(idx + n % 4));
}

/* A packed descriptor which is available at the device's next position, or nearly so. */
static void walker_make_avail(struct walker *w)
{
	struct vring_packed_desc *ring = w->ring.conf.desc;
	unsigned int slot = (w->ring.next + input_u8(&w->in)) % w->ring.conf.num;
	uint8_t how = input_u8(&w->in);

	walker_desc(w, (struct vring_desc *)&ring[slot]);
	ring[slot].flags = htole16((how & 7) | (how & 8 ? 0x80 : 0x8000));
	ring[slot].id = htole16(how >> 4);
}

static void walker_drive(struct walker *w, uint8_t what)
{
	struct vring_desc *desc = w->ring.conf.desc;
	uint8_t i = input_u8(&w->in);
	struct mem_span *span = &w->map->spans[i % REGIONS];

	switch (what % 6) {
	case 0:
		walker_desc(w, &desc[i % w->ring.conf.num]);
		break;
	case 1:
		walker_desc(w, (struct vring_desc *)(span->hva + i % (span->size / 16) * 16));
		break;
	case 2:
		walker_avail(w);
		break;
	case 3:
		walker_make_avail(w);
		break;
	case 4:
		walker_write(w, w->ring.conf.driver, w->area_len[1]);
		break;
	default:
		walker_write(w, span->hva, span->size);
	}
}

/*
 * What the device does
 */

static bool walker_has(const struct walker *w, const struct iovec *iov)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		const struct mem_span *s = &w->map->spans[i];
		uintptr_t off = (uintptr_t)iov->iov_base - (uintptr_t)s->hva;

		if (off < s->size && iov->iov_len <= s->size - off)
			return true;
	}
	return false;
}

static void walker_check(const struct walker *w, const struct ring_elem *elem)
{
	const struct chain *c = &w->req.chain;
	uint64_t out = 0, in = 0;
	unsigned int i;

	stepped_check(elem->id < w->ring.conf.num);
	stepped_check(elem->descs && elem->descs <= w->ring.conf.num);
	stepped_check(c->out_cnt + c->in_cnt <= c->cap);
	for (i = 0; i < c->out_cnt + c->in_cnt; i++) {
		stepped_check(c->iov[i].iov_len && walker_has(w, &c->iov[i]));
		*(i < c->out_cnt ? &out : &in) += c->iov[i].iov_len;
	}
	stepped_check(out == c->out_len && in == c->in_len);
}

/* The next chain, which is there, by the short way if it has one.  False: it is broken. */
static bool walker_take_one(struct walker *w)
{
	const struct ring_ops *ops = w->ring.ops;
	struct ring_req *req = &w->req;

	return ops->take_usual(&w->ring, &req + 1, &w->env, 1) == 1 ||
	       !ops->take(&w->ring, &req->chain, &w->env, &req->elem);
}

static void walker_take(struct walker *w, uint8_t want)
{
	const struct ring_ops *ops = w->ring.ops;
	int n = ops->avail(&w->ring, 1 + want % NUM_MAX);

	stepped_check(n <= (int)w->ring.conf.num);
	w->broken = n < 0;
	/* A queue has as many slots as the ring has entries. */
	for (; n > 0 && w->nheld < w->ring.conf.num; n--) {
		w->broken = !walker_take_one(w);
		if (w->broken)
			return;
		walker_check(w, &w->req.elem);
		w->held[w->nheld++] = w->req.elem;
		w->latest++;
	}
}

static void walker_untake(struct walker *w)
{
	if (!w->latest)
		return;
	w->latest--;
	w->ring.ops->untake(&w->ring, &w->held[--w->nheld]);
}

/* Give back some, beginning with the i-th. */
static void walker_publish(struct walker *w, uint8_t what)
{
	struct ring_elem done[NUM_MAX];
	unsigned int i, from = w->nheld ? what % w->nheld : 0, n = MIN(w->nheld - from, what >> 4);

	for (i = 0; i < n; i++) {
		done[i] = w->held[from + i];
		done[i].len = what;
	}
	w->nheld -= n;
	memmove(&w->held[from], &w->held[from + n], (w->nheld - from) * sizeof(w->held[0]));
	w->latest = MIN(w->latest, w->nheld - from);
	w->ring.ops->publish(&w->ring, done, n);
}

static void walker_restart(struct walker *w, uint8_t what)
{
	w->ring.conf.base = what & 1 ? w->ring.ops->base(&w->ring) : input_u32(&w->in);
	w->nheld = w->latest = 0;
	w->broken = w->ring.ops->start(&w->ring);
}

static void walker_serve(struct walker *w, uint8_t what)
{
	uint8_t n = input_u8(&w->in);

	if (what % 7 == 6)
		walker_restart(w, n);
	/* A queue which is broken still gives back what it has. */
	if (what % 7 == 2)
		walker_publish(w, n);
	if (what % 7 == 3)
		w->ring.ops->signal_needed(&w->ring);
	if (w->broken)
		return;
	if (what % 7 == 0)
		walker_take(w, n);
	if (what % 7 == 1)
		walker_untake(w);
	if (what % 7 == 4)
		w->ring.ops->arm(&w->ring);
	if (what % 7 == 5)
		w->ring.ops->disarm(&w->ring);
}

/*
 * Life
 */

static void walker_start(struct walker *w)
{
	uint8_t how = input_u8(&w->in), size = input_u8(&w->in);
	bool packed = how & 1;
	unsigned int num = packed ? 1 + size % NUM_MAX : 1u << size % 5;
	void **areas[3] = { &w->ring.conf.desc, &w->ring.conf.driver, &w->ring.conf.device };
	unsigned int i;

	w->ring.ops = packed ? &packed_ops : &split_ops;
	w->ring.conf.num = num;
	w->ring.conf.event_idx = how & 2;
	w->ring.conf.indirect = how & 4;
	w->ring.conf.base = how & 8 ? input_u32(&w->in) : packed ? RING_PACKED_BASE : 0;
	w->area_len[0] = 16 * num;
	w->area_len[1] = packed ? 4 : 6 + 2 * num;
	w->area_len[2] = packed ? 4 : 6 + 8 * num;
	for (i = 0; i < 3; i++) {
		*areas[i] = malloc(w->area_len[i]);
		stepped_check(*areas[i]);
		memset(*areas[i], 0, w->area_len[i]);
	}
	w->map = walker_map();
	w->env = (struct chain_env){ .map = w->map, .direct_max = num, .indirect = how & 4 };
	chain_init(&w->req.chain);
	w->broken = w->ring.ops->start(&w->ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walker w = { .in = { data, size } };
	uint8_t what;

	walker_start(&w);
	while (w.in.left) {
		what = input_u8(&w.in);
		if (what & 1)
			walker_serve(&w, what >> 1);
		else
			walker_drive(&w, what >> 1);
	}
	chain_free(&w.req.chain);
	walker_free_map(w.map);
	free(w.ring.conf.desc);
	free(w.ring.conf.driver);
	free(w.ring.conf.device);
	return 0;
}
