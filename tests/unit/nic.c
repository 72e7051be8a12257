/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device of the virtio-net tests. */
#include "nic.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#define NIC_MEM	(64u << 20)

/*
 * A port which counts
 */

atomic_uint nic_rx_calls, nic_tx_calls;

static ssize_t nic_port_rx(struct port *port, unsigned int pair, const struct iovec *iov,
			   unsigned int cnt)
{
	atomic_fetch_add(&nic_rx_calls, 1);
	return port_pair.rx(port, pair, iov, cnt);
}

static int nic_port_tx(struct port *port, unsigned int pair, const struct iovec *iov,
		       unsigned int cnt)
{
	atomic_fetch_add(&nic_tx_calls, 1);
	return port_pair.tx(port, pair, iov, cnt);
}

/* A link which the test sets. */
static int nic_link_fd = -1;
static atomic_int nic_link_now;

static int nic_port_link_fd(const struct port *port)
{
	(void)port;
	return nic_link_fd;
}

static enum port_link nic_port_link(struct port *port)
{
	uint64_t n;

	(void)port;
	/* It does not block; who reads first gets all. */
	if (read(nic_link_fd, &n, sizeof(n)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	return (enum port_link)atomic_load(&nic_link_now);
}

void nic_set_link(enum port_link link)
{
	const uint64_t one = 1;

	atomic_store(&nic_link_now, link);
	ck_assert_int_eq(write(nic_link_fd, &one, sizeof(one)), sizeof(one));
}

static const struct port_ops *nic_port_ops(void)
{
	static struct port_ops ops;

	if (nic_link_fd < 0)
		nic_link_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(nic_link_fd, 0);
	ops = port_pair;
	ops.rx = nic_port_rx;
	ops.tx = nic_port_tx;
	ops.link_fd = nic_port_link_fd;
	ops.link = nic_port_link;
	return &ops;
}

/*
 * Wires
 */

static void nic_listen_wires(struct nic *nic)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1;

	nic->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	len += (socklen_t)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", nic->name);
	ck_assert(!bind(nic->listener, (struct sockaddr *)&addr, len));
	ck_assert(!listen(nic->listener, NIC_PAIRS_MAX));
}

static void nic_accept_wires(struct nic *nic)
{
	struct pollfd pfd = { .fd = nic->listener, .events = POLLIN };
	unsigned int i;

	for (i = 0; i < nic->params.pairs; i++) {
		ck_assert_int_eq(poll(&pfd, 1, FE_TIMEOUT_MS), 1);
		nic->wires[i] = accept4(nic->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		ck_assert_int_ge(nic->wires[i], 0);
	}
}

static void nic_open_port(struct nic *nic)
{
	static atomic_uint serial;
	struct port_params params = { .pairs = nic->params.pairs, .ifname = nic->name };
	char why[128];

	snprintf(nic->name, sizeof(nic->name), "nic-%d-%u", getpid(), atomic_fetch_add(&serial, 1));
	nic_listen_wires(nic);
	ck_assert(!port_pair.open(&nic->port, &params, why, sizeof(why)));
	nic->port->ops = nic_port_ops();
	nic_accept_wires(nic);
}

void nic_cut(struct nic *nic)
{
	unsigned int i;

	close_fd(&nic->listener);
	for (i = 0; i < nic->params.pairs; i++)
		close_fd(&nic->wires[i]);
}

void nic_mend(struct nic *nic)
{
	nic_listen_wires(nic);
	nic_accept_wires(nic);
}

/*
 * The device
 */

static void nic_link(void *arg, enum virtio_net_news news)
{
	struct nic *nic = arg;

	atomic_store(&nic->link, news == NET_BACK || news == NET_UP ||
				news == NET_PLUGGED);
	atomic_fetch_add(&nic->links, 1);
}

static void nic_start_workers(struct nic *nic)
{
	unsigned int i;

	ck_assert(!vhost_worker_new(&nic->control, NULL));
	for (i = 0; i < nic->params.workers; i++) {
		ck_assert(!vhost_worker_new(&nic->workers[i], NULL));
		ck_assert(!vhost_worker_start(nic->workers[i], "queues"));
	}
}

static void nic_create(struct nic *nic)
{
	const struct virtio_net_params params = {
		.port = nic->port, .control = nic->control, .mac = nic->params.mac,
		.mtu = nic->params.mtu, .queue_size = MAX(nic->params.ring_size, 1024u),
		.arg = nic, .link = nic_link,
	};
	struct vhost_worker *workers[2 * NIC_PAIRS_MAX];
	unsigned int i, n = 2 * nic->params.workers;

	ck_assert(!virtio_net_new(&nic->net, &params));
	for (i = 0; i < n; i++)
		workers[i] = nic->workers[i / 2];
	if (n)
		ck_assert(!vhost_dev_bind(virtio_net_dev(nic->net), workers, n));
}

static void nic_attach(void *arg)
{
	struct nic *nic = arg;
	int fd;

	ck_assert(!fe_pair(&nic->fe, &fd));
	ck_assert(!vhost_dev_attach(virtio_net_dev(nic->net), nic->control, fd));
}

static void nic_stopped(struct vhost_dev *dev, void *arg)
{
	(void)dev;
	sem_post(arg);
}

struct nic_stop {
	struct nic *nic;
	sem_t done;
};

static void nic_stop(void *arg)
{
	struct nic_stop *stop = arg;

	vhost_dev_stop(virtio_net_dev(stop->nic->net), nic_stopped, &stop->done);
}

static void nic_close(struct nic *nic)
{
	struct nic_stop stop = { .nic = nic };
	unsigned int i;

	sem_init(&stop.done, 0, 0);
	vhost_worker_call(nic->control, nic_stop, &stop);
	while (sem_wait(&stop.done) && errno == EINTR)
		;
	sem_destroy(&stop.done);
	vhost_worker_stop(nic->control);
	virtio_net_free(nic->net);
	for (i = 0; i < nic->params.workers; i++)
		vhost_worker_stop(nic->workers[i]);
	for (i = 0; i < nic->params.workers; i++)
		vhost_worker_free(nic->workers[i]);
	vhost_worker_free(nic->control);
	nic->port->ops->close(nic->port);
	nic_cut(nic);
}

/*
 * The front-end
 */

static void nic_connect(struct nic *nic)
{
	const uint64_t protocol = FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) |
				  FE_BIT(VU_PROTOCOL_F_CONFIG) | FE_BIT(VU_PROTOCOL_F_RARP) |
				  FE_BIT(VU_PROTOCOL_F_NET_MTU) | FE_BIT(VU_PROTOCOL_F_BACKEND_REQ);
	uint64_t features = nic->params.features | FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
			    FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VU_F_PROTOCOL_FEATURES);
	struct fe_ring_params ring = { .size = nic->params.ring_size, .indirect = 250 };
	unsigned int i;

	if (!nic->params.legacy)
		features |= FE_BIT(VIRTIO_F_VERSION_1);
	ck_assert_int_eq(fe_negotiate(&nic->fe, features, protocol), 0);
	ck_assert(!fe_mem_init(&nic->mem, 0x100000, NIC_MEM));
	ring.features = nic->fe.features;
	for (i = 0; i < nic->params.rings; i++) {
		ring.index = i;
		ck_assert(!fe_ring_init(&nic->ring[i], &nic->mem, &ring));
		nic->rings[i] = &nic->ring[i];
	}
	ck_assert_int_eq(fe_start(&nic->fe, &nic->mem, nic->rings, nic->params.rings), 0);
}

void nic_up(struct nic *nic, const struct nic_params *params)
{
	*nic = (struct nic){ .params = *params, .fe.fd = -1, .fe.backend_fd = -1 };
	nic->params.pairs = params->pairs ? params->pairs : 1;
	nic->params.ring_size = params->ring_size ? params->ring_size : 256;
	nic->params.rings = params->rings ? params->rings : 2 * nic->params.pairs;
	atomic_store(&nic_link_now, params->down ? PORT_DOWN : PORT_UP);
	nic_open_port(nic);
	nic_start_workers(nic);
	nic_create(nic);
	nic_attach(nic);
	ck_assert(!vhost_worker_start(nic->control, "control"));
	nic_connect(nic);
}

void nic_down(struct nic *nic)
{
	unsigned int i;

	fe_close(&nic->fe);
	nic_close(nic);
	for (i = 0; i < nic->params.rings; i++)
		fe_ring_free(&nic->ring[i]);
	fe_mem_free(&nic->mem);
}

struct nic_look {
	struct nic *nic;
	unsigned int queue;
	struct virtio_net_stats *stats;
};

static void nic_read_stats(void *arg)
{
	struct nic_look *look = arg;

	virtio_net_stats(look->nic->net, look->queue, look->stats);
}

void nic_stats(struct nic *nic, unsigned int queue, struct virtio_net_stats *stats)
{
	struct nic_look look = { nic, queue, stats };

	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(virtio_net_dev(nic->net), queue)),
			  nic_read_stats, &look);
}

/*
 * Packets
 */

uint8_t nic_byte(uint32_t seed, size_t i)
{
	return (uint8_t)(seed * 101 + i * 7 + (i >> 8) * 13 + 1);
}

void nic_fill(uint8_t *packet, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		packet[i] = nic_byte(seed, i);
}

void nic_check(const uint8_t *packet, size_t len, uint32_t seed)
{
	size_t i = 0;

	while (i < len && packet[i] == nic_byte(seed, i))
		i++;
	ck_assert_msg(i == len, "byte %zu of %zu", i, len);
}

static size_t nic_hdr_len(const struct nic *nic)
{
	return hdr_len(nic->fe.features);
}

void nic_send(struct nic *nic, unsigned int pair, size_t len, uint32_t seed)
{
	static uint8_t buf[NIC_HDR + NIC_PACKET_MAX];
	size_t hdr = nic_hdr_len(nic);
	struct pollfd pfd = { .fd = nic->wires[pair], .events = POLLOUT };

	memset(buf, 0, hdr);
	nic_fill(buf + hdr, len, seed);
	ck_assert_int_eq(poll(&pfd, 1, FE_TIMEOUT_MS), 1);
	ck_assert_int_eq(send(nic->wires[pair], buf, hdr + len, MSG_NOSIGNAL), hdr + len);
}

size_t nic_recv(struct nic *nic, unsigned int pair, uint8_t *buf, size_t size)
{
	struct pollfd pfd = { .fd = nic->wires[pair], .events = POLLIN };
	ssize_t n;

	ck_assert_int_eq(poll(&pfd, 1, FE_TIMEOUT_MS), 1);
	n = recv(nic->wires[pair], buf, size, MSG_TRUNC);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

void nic_expect(struct nic *nic, unsigned int pair, const void *hdr, size_t len, uint32_t seed)
{
	static uint8_t buf[NIC_HDR + NIC_PACKET_MAX];
	static const uint8_t zero[NIC_HDR];
	size_t got = nic_recv(nic, pair, buf, sizeof(buf)), head = nic_hdr_len(nic);

	ck_assert_uint_eq(got, head + len);
	ck_assert_mem_eq(buf, hdr ? hdr : zero, head);
	nic_check(buf + head, len, seed);
}

void nic_expect_silence(struct nic *nic, unsigned int pair)
{
	struct pollfd pfd = { .fd = nic->wires[pair], .events = POLLIN };

	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
}

uint8_t *nic_add_buffer(struct nic *nic, unsigned int ring, size_t len, unsigned int n)
{
	struct iovec in[256];
	uint8_t *mem = fe_mem_alloc(&nic->mem, MAX(len * n, 1u), 1);
	unsigned int i;

	ck_assert(mem && n <= ARRAY_SIZE(in));
	for (i = 0; i < n; i++)
		in[i] = (struct iovec){ mem + i * len, len };
	ck_assert_int_ge(fe_ring_add(&nic->ring[ring], NULL, 0, in, n, mem), 0);
	return mem;
}

void nic_add_packet(struct nic *nic, unsigned int ring, const void *hdr, size_t len,
		    uint32_t seed, const size_t *cuts, unsigned int n)
{
	size_t head = nic_hdr_len(nic), total = head + len, off = 0;
	uint8_t *mem = fe_mem_alloc(&nic->mem, total, 1);
	struct iovec out[256];
	unsigned int i, cnt = 0;

	ck_assert(mem && n < ARRAY_SIZE(out));
	if (hdr)
		memcpy(mem, hdr, head);
	nic_fill(mem + head, len, seed);
	for (i = 0; i < n && off + cuts[i] < total; off += cuts[i++])
		out[cnt++] = (struct iovec){ mem + off, cuts[i] };
	out[cnt++] = (struct iovec){ mem + off, total - off };
	ck_assert_int_ge(fe_ring_add(&nic->ring[ring], out, cnt, NULL, 0, mem), 0);
}

uint32_t nic_get(struct nic *nic, unsigned int ring, void **cookie)
{
	void *ignored;
	uint32_t len;

	ck_assert_int_eq(fe_ring_wait(&nic->ring[ring], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&nic->ring[ring], cookie ? cookie : &ignored, &len), 1);
	return len;
}

void nic_expect_alive(struct nic *nic)
{
	size_t head = nic_hdr_len(nic);
	uint8_t *mem;
	void *cookie;

	nic_add_packet(nic, 1, NULL, 100, 77, NULL, 0);
	fe_ring_submit(&nic->ring[1]);
	nic_expect(nic, 0, NULL, 100, 77);
	ck_assert_uint_eq(nic_get(nic, 1, NULL), 0);
	mem = nic_add_buffer(nic, 0, 2000, 1);
	fe_ring_submit(&nic->ring[0]);
	nic_send(nic, 0, 200, 78);
	ck_assert_uint_eq(nic_get(nic, 0, &cookie), head + 200);
	ck_assert_ptr_eq(cookie, mem);
	ck_assert_uint_eq(mem[head + 199], nic_byte(78, 199));
}
