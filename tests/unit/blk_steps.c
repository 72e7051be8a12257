/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads through a disk, so many at a time, for counting what they cost.  Instructions of a request
 * are executed within stepped_run().
 *
 *   blk_steps split|packed direct|indirect poll|irq DEPTH REQUESTS [IMAGE [auto|uring [adjacent]]]
 *					prints how many there were; without image, the null engine;
 *					uring: with io_uring and O_DIRECT; adjacent: each begins
 *					where the one before ends, otherwise there is a gap
 *   blk_steps optimized		whether it makes sense to count instructions
 */
#include <event2/event.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk/virtio_blk.h"
#include "frontend/fe_blk.h"
#include "tests/stepped.h"
#include "util.h"

#define RING	512u
#define LEN	4096u

struct blk_steps {
	struct stepped s;
	struct storage *storage;
	struct virtio_blk *blk;
	struct fe_mem mem;
	struct fe_ring ring;
	struct fe_blk fb;
};

/* What the command line says. */
struct blk_steps_how {
	bool packed, indirect, poll;
	unsigned int depth;
	const char *image;		/* NULL: none */
	bool uring;			/* the image as a disk */
	bool adjacent;			/* no gaps between the requests of a batch */
};

static void blk_steps_create(struct blk_steps *s, const struct blk_steps_how *how)
{
	const struct storage_params image = {
		.engine = how->uring ? STORAGE_ENGINE_URING :
			  how->image ? STORAGE_ENGINE_AUTO : STORAGE_ENGINE_NULL,
		.cache = how->uring ? STORAGE_CACHE_NONE : STORAGE_CACHE_WRITEBACK,
		.path = how->image,
		.size = how->image ? 0 : 64u << 20,
	};
	struct virtio_blk_params params = { .name = "steps", .queues = 1, .block_size = 512 };
	char why[128];

	stepped_open(&s->s);
	stepped_check(!storage_open(&s->storage, &image, why, sizeof(why)));
	params.storage = s->storage;
	stepped_check(!virtio_blk_new(&s->blk, &params));
	stepped_serve(&s->s, virtio_blk_dev(s->blk));
	stepped_connect(&s->s);
}

static void blk_steps_open(struct blk_steps *s, const struct blk_steps_how *how)
{
	struct fe_ring *rings[] = { &s->ring };

	blk_steps_create(s, how);
	s->s.fe.features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
			   (how->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
			   (how->indirect ? FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0);
	stepped_check(!fe_mem_init(&s->mem, 0, 64u << 20));
	stepped_check(!fe_ring_init(&s->ring, &s->mem, &(struct fe_ring_params){
		.size = RING, .features = s->s.fe.features,
		.flags = how->poll ? FE_RING_POLL : 0, .indirect = how->indirect ? 4 : 0,
	}));
	stepped_check(!fe_blk_init(&s->fb, &s->ring, how->depth, LEN));
	stepped_check(!fe_set_owner(&s->s.fe));
	stepped_check(!fe_start(&s->s.fe, &s->mem, rings, 1));
	stepped_run(&s->s);
}

static void blk_steps_close(struct blk_steps *s)
{
	stepped_halt(&s->s);
	virtio_blk_free(s->blk);
	storage_close(s->storage);
	stepped_close(&s->s);
	fe_blk_free(&s->fb);
	fe_ring_free(&s->ring);
	fe_mem_free(&s->mem);
}

static void blk_steps_batch(struct blk_steps *s, const struct blk_steps_how *how)
{
	const unsigned int depth = how->depth, step = how->adjacent ? LEN : 2 * LEN;
	struct fe_blk_req *req;
	unsigned int i;

	for (i = 0; i < depth; i++) {
		req = fe_blk_get(&s->fb);
		stepped_check(req);
		req->type = VIRTIO_BLK_T_IN;
		req->sector = i * (step / FE_BLK_SECTOR);
		req->len = LEN;
		stepped_check(!fe_blk_add(&s->fb, req));
	}
	if (!how->poll)
		stepped_check(!fe_ring_irq_on(&s->ring));
	fe_ring_submit(&s->ring);
	stepped_run(&s->s);
	for (i = 0; i < depth; i++) {
		while (!fe_ring_ready(&s->ring))
			event_base_loop(s->s.base, EVLOOP_ONCE);
		stepped_check(!fe_blk_reap(&s->fb, &req, 0));
		stepped_check(fe_blk_status(req) == VIRTIO_BLK_S_OK && req->used_len == LEN + 1);
		fe_blk_put(&s->fb, req);
	}
}

static int blk_steps_run(const struct blk_steps_how *how, unsigned long requests)
{
	struct blk_steps s = { 0 };
	unsigned long n;

	stepped_check(how->depth && how->depth * 3 <= RING);
	blk_steps_open(&s, how);
	for (n = 0; n < requests; n += how->depth)
		blk_steps_batch(&s, how);
	blk_steps_close(&s);
	printf("%lu\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "optimized"))
		return !stepped_is_optimized();
	if (argc < 6 || argc > 9)
		return 2;
	return blk_steps_run(&(struct blk_steps_how){
		.packed = !strcmp(argv[1], "packed"),
		.indirect = !strcmp(argv[2], "indirect"),
		.poll = !strcmp(argv[3], "poll"),
		.depth = (unsigned int)atoi(argv[4]),
		.image = argv[6],
		.uring = argc > 7 && !strcmp(argv[7], "uring"),
		.adjacent = argc > 8,
	}, strtoul(argv[5], NULL, 10));
}
