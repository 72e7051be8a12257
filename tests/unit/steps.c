/* SPDX-License-Identifier: BSD-3-Clause */
/* See steps.h. */
#include "steps.h"

#include <linux/virtio_config.h>

#include "util.h"

static void steps_create(struct steps *s)
{
	struct virtio_net_params params = { .name = "steps", .port = s->port };

	stepped_open(&s->s);
	params.control = s->s.worker;
	stepped_check(!virtio_net_new(&s->net, &params));
	stepped_serve(&s->s, virtio_net_dev(s->net));
	stepped_connect(&s->s);
}

void steps_open(struct steps *s, uint64_t features, unsigned int ring_flags)
{
	struct fe_ring *rings[] = { &s->ring[0], &s->ring[1] };
	unsigned int i;

	steps_create(s);
	s->s.fe.features = features | FE_BIT(VIRTIO_F_VERSION_1) |
			   FE_BIT(VIRTIO_RING_F_EVENT_IDX) | FE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	stepped_check(!fe_mem_init(&s->mem, 0, 16u << 20));
	for (i = 0; i < 2; i++)
		stepped_check(!fe_ring_init(rings[i], &s->mem, &(struct fe_ring_params){
			.index = i, .size = STEPS_RING, .features = s->s.fe.features,
			.flags = ring_flags,
		}));
	s->buffers = fe_mem_alloc(&s->mem, STEPS_RING * STEPS_BUFFER, 4096);
	stepped_check(s->buffers);
	stepped_check(!fe_set_owner(&s->s.fe));
	stepped_check(!fe_start(&s->s.fe, &s->mem, rings, 2));
	stepped_run(&s->s);
}

void steps_close(struct steps *s)
{
	stepped_halt(&s->s);
	virtio_net_free(s->net);
	s->port->ops->close(s->port);
	stepped_close(&s->s);
	fe_ring_free(&s->ring[0]);
	fe_ring_free(&s->ring[1]);
	fe_mem_free(&s->mem);
}

void steps_add(struct steps *s, unsigned int ring, unsigned int n, size_t len)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint8_t *mem = s->buffers + i * STEPS_BUFFER;
		const struct iovec iov = { mem, len };

		stepped_check(fe_ring_add(&s->ring[ring], &iov, ring, &iov, !ring, mem) >= 0);
	}
	fe_ring_submit(&s->ring[ring]);
}

unsigned int steps_get(struct steps *s, unsigned int ring, size_t len)
{
	unsigned int n = 0;
	void *cookie;
	uint32_t got;

	for (; fe_ring_get(&s->ring[ring], &cookie, &got) > 0; n++)
		stepped_check(got == len);
	return n;
}
