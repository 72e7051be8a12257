/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network device with nothing around it, for counting the instructions of a packet: device and
 * driver take turns on one thread, the port leads nowhere.  What is to be counted
 * happens within steps_work().
 *
 *   net_steps tx|rx split|packed SIZE PACKETS
 */
#include <event2/event.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "net/virtio_net.h"
#include "tests/stepped.h"
#include "util.h"

#define RING_SIZE	256u
#define BUFFER		2048u
#define HDR		12u

struct steps {
	struct event_base *base;
	struct vhost_worker *worker;
	struct port *port;
	struct virtio_net *net;
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[2];
	bool tx, packed, stopped;
	unsigned int size;		/* bytes of a packet */
};

/* By this name what is counted is found; it must be a call. */
void steps_work(struct event_base *base);
__attribute__((noinline)) void steps_work(struct event_base *base)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void steps_open(struct steps *s)
{
	const struct port_params port = { .pairs = 1, .packet_size = s->tx ? 0 : s->size };
	struct virtio_net_params params = { .name = "steps" };
	char why[64];
	int fd;

	s->base = event_base_new();
	stepped_check(s->base);
	stepped_check(!vhost_worker_new(&s->worker, s->base));
	stepped_check(!port_null.open(&s->port, &port, why, sizeof(why)));
	params.port = s->port;
	params.control = s->worker;
	stepped_check(!virtio_net_new(&s->net, &params));
	stepped_check(!fe_pair(&s->fe, &fd));
	stepped_check(!vhost_dev_attach(virtio_net_dev(s->net), s->worker, fd));
}

static void steps_connect(struct steps *s)
{
	struct fe_ring *rings[] = { &s->ring[0], &s->ring[1] };
	unsigned int i;

	s->fe.no_ack = true;
	s->fe.timeout_ms = 0;
	s->fe.features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
			 FE_BIT(VIRTIO_NET_F_MRG_RXBUF) |
			 (s->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0);
	stepped_check(!fe_mem_init(&s->mem, 0, 16u << 20));
	for (i = 0; i < 2; i++)
		stepped_check(!fe_ring_init(rings[i], &s->mem, &(struct fe_ring_params){
			.index = i, .size = RING_SIZE, .features = s->fe.features,
			.flags = FE_RING_POLL,
		}));
	stepped_check(!fe_set_owner(&s->fe));
	stepped_check(!fe_start(&s->fe, &s->mem, rings, 2));
	steps_work(s->base);
}

/* Half a ring of packets, as a busy driver has it. */
static void steps_add(struct steps *s, uint8_t *mem)
{
	struct fe_ring *ring = &s->ring[s->tx];
	unsigned int i;

	for (i = 0; i < RING_SIZE / 2; i++, mem += BUFFER) {
		const struct iovec iov = { mem, s->tx ? HDR + s->size : BUFFER };

		stepped_check(fe_ring_add(ring, &iov, s->tx, &iov, !s->tx, mem) >= 0);
	}
	fe_ring_submit(ring);
}

static unsigned int steps_get(struct steps *s)
{
	unsigned int n = 0;
	void *cookie;
	uint32_t len;

	while (fe_ring_get(&s->ring[s->tx], &cookie, &len) > 0) {
		stepped_check(len == (s->tx ? 0 : HDR + s->size));
		n++;
	}
	return n;
}

static void steps_stopped(struct vhost_dev *dev, void *arg)
{
	struct steps *s = arg;

	(void)dev;
	s->stopped = true;
}

static void steps_close(struct steps *s)
{
	fe_close(&s->fe);
	steps_work(s->base);
	vhost_dev_stop(virtio_net_dev(s->net), steps_stopped, s);
	steps_work(s->base);
	stepped_check(s->stopped);
	virtio_net_free(s->net);
	s->port->ops->close(s->port);
	vhost_worker_free(s->worker);
	event_base_free(s->base);
	fe_ring_free(&s->ring[0]);
	fe_ring_free(&s->ring[1]);
	fe_mem_free(&s->mem);
}

int main(int argc, char **argv)
{
	struct steps s = { .fe = { .fd = -1, .backend_fd = -1 } };
	unsigned long packets, n;
	uint8_t *mem;

	if (argc != 5)
		return 2;
	s.tx = !strcmp(argv[1], "tx");
	s.packed = !strcmp(argv[2], "packed");
	s.size = (unsigned int)atoi(argv[3]);
	packets = strtoul(argv[4], NULL, 10);
	steps_open(&s);
	steps_connect(&s);
	mem = fe_mem_alloc(&s.mem, RING_SIZE / 2 * BUFFER, 4096);
	stepped_check(mem);
	for (n = 0; n < packets; n += RING_SIZE / 2) {
		steps_add(&s, mem);
		steps_work(s.base);
		stepped_check(steps_get(&s) == RING_SIZE / 2);
	}
	printf("%lu\n", n);
	steps_close(&s);
	return 0;
}
