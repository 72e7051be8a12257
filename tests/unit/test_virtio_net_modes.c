/* SPDX-License-Identifier: BSD-3-Clause */
/* What is decided about a virtio-net device's queues: rings on and off, pairs, link, commands. */
#include "nic.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "deadline.h"
#include "tap.h"
#include "util.h"

#define MRG	BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CTRL	BIT(VIRTIO_NET_F_CTRL_VQ)
#define MQ	BIT(VIRTIO_NET_F_MQ)
#define PACKED	BIT(VIRTIO_F_RING_PACKED)

static struct nic nic;
static struct virtio_net_stats stats;
static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x11 };

static void get_config(struct virtio_net_config *config)
{
	memset(config, 0, sizeof(*config));
	ck_assert_int_eq(fe_get_config(&nic.fe, 0, config, 12), 0);
}

static uint16_t get_status(void)
{
	struct virtio_net_config config;

	get_config(&config);
	return le16toh(config.status);
}

/* Until the device has told of so many changes of its link. */
static void wait_for_links(unsigned int n)
{
	int64_t deadline = fe_deadline(FE_TIMEOUT_MS);

	while (atomic_load(&nic.links) < n && fe_deadline_left(deadline))
		nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(atomic_load(&nic.links), n);
}

/*
 * What is offered
 */

START_TEST(offered)
{
	const struct nic_params params = { .pairs = _i ? 3 : 1, .mac = _i ? mac : NULL,
					   .mtu = _i ? 1400 : 0, .workers = 1 };
	struct virtio_net_config config;
	uint64_t some = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | MQ;

	nic_up(&nic, &params);
	ck_assert_uint_eq(nic.fe.offered & some, _i ? some : 0);
	ck_assert_uint_eq(nic.fe.offered & PORT_OFFLOADS, PORT_OFFLOADS);
	ck_assert_uint_eq(nic.fe.queue_num, params.pairs);
	get_config(&config);
	ck_assert_uint_eq(le16toh(config.status), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(le16toh(config.max_virtqueue_pairs), params.pairs);
	ck_assert_uint_eq(le16toh(config.mtu), params.mtu);
	if (_i)
		ck_assert_mem_eq(config.mac, mac, 6);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/*
 * Rings
 */

/* A disabled ring: what is to be sent goes nowhere, what comes stays on the wire. */
/* proves: net.disabled */
START_TEST(disabled)
{
	const struct nic_params params = { .features = _i & 1 ? PACKED | MRG : 0,
					   .workers = (unsigned int)_i >> 1 };
	void *cookie;
	unsigned int calls, i;

	nic_up(&nic, &params);
	ck_assert_int_eq(fe_set_vring_enable(&nic.fe, 0, false), 0);
	ck_assert_int_eq(fe_set_vring_enable(&nic.fe, 1, false), 0);
	nic_stats(&nic, 0, &stats);
	calls = atomic_load(&nic_rx_calls);
	nic_add_packet(&nic, 1, NULL, 100, 1, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	ck_assert_uint_eq(nic_get(&nic, 1, NULL), 0);
	nic_expect_silence(&nic, 0);
	nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_send(&nic, 0, 100, 2);
	for (i = 0; i < 1000; i++)
		nic_stats(&nic, 0, &stats);
	ck_assert(!fe_ring_ready(&nic.ring[0]));
	ck_assert_uint_eq(atomic_load(&nic_rx_calls), calls);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.discarded, 1);

	ck_assert_int_eq(fe_set_vring_enable(&nic.fe, 0, true), 0);
	ck_assert_int_eq(fe_set_vring_enable(&nic.fe, 1, true), 0);
	ck_assert_uint_eq(nic_get(&nic, 0, &cookie), NIC_HDR + 100);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* Back-pressure ends when the ring is disabled: nothing is kept. */
/* proves: net.disabled */
START_TEST(disabled_while_it_waits)
{
	unsigned int i;

	nic_up(&nic, &(struct nic_params){ 0 });
	for (i = 0; i < 60; i++)
		nic_add_packet(&nic, 1, NULL, 30000, i, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	ck_assert_int_eq(fe_set_vring_enable(&nic.fe, 1, false), 0);
	for (i = 0; i < 60; i++)
		nic_get(&nic, 1, NULL);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_gt(stats.discarded, 0);
	ck_assert_uint_eq(stats.discarded + stats.packets, 60);
	nic_down(&nic);
}
END_TEST

START_TEST(pairs)
{
	const struct nic_params params = { .pairs = 3, .features = MRG | MQ,
					   .workers = (unsigned int)_i };
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < 3; i++)
		nic_add_buffer(&nic, 2 * i, 2000, 1);
	for (i = 0; i < 3; i++) {
		fe_ring_submit(&nic.ring[2 * i]);
		nic_send(&nic, i, 100 + i, i);
		ck_assert_uint_eq(nic_get(&nic, 2 * i, NULL), NIC_HDR + 100 + i);
		nic_add_packet(&nic, 2 * i + 1, NULL, 200 + i, i, NULL, 0);
		fe_ring_submit(&nic.ring[2 * i + 1]);
		nic_expect(&nic, i, NULL, 200 + i, i);
		nic_get(&nic, 2 * i + 1, NULL);
		nic_stats(&nic, 2 * i, &stats);
		ck_assert_uint_eq(stats.packets, 1);
		ck_assert_uint_eq(stats.bytes, 100 + i);
	}
	nic_down(&nic);
}
END_TEST

/*
 * Commands
 */

/* A command, cut behind the header or into bytes; the answer. */
static int command(unsigned int ring, const void *bytes, size_t len, bool cut)
{
	uint8_t *mem = fe_mem_alloc(&nic.mem, len + 1, 1);
	struct iovec out[32], in = { mem + len, 1 };
	unsigned int i, n = 0;

	memcpy(mem, bytes, len);
	mem[len] = 0xff;
	for (i = 0; cut && i + 1 < len && n < 31; i++)
		out[n++] = (struct iovec){ mem + i, 1 };
	out[n++] = (struct iovec){ mem + i, len - i };
	ck_assert_int_ge(fe_ring_add(&nic.ring[ring], out, n, &in, 1, mem), 0);
	fe_ring_submit(&nic.ring[ring]);
	ck_assert_uint_eq(nic_get(&nic, ring, NULL), 1);
	return mem[len];
}

static const struct {
	uint8_t bytes[20];
	size_t len;
	int ack;
} commands[] = {
	{ { 0, 0, 1 }, 3, 0 },			/* promiscuous */
	{ { 0, 0, 0 }, 3, 0 },
	{ { 0, 0, 2 }, 3, 1 },
	{ { 0, 0 }, 2, 1 },
	{ { 0, 1, 1 }, 3, 0 },			/* all multicast */
	{ { 0, 5, 1 }, 3, 0 },			/* no broadcast */
	{ { 0, 6, 1 }, 3, 1 },
	{ { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 0 },	/* table of addresses */
	{ { 1, 1, 2, 0, 0, 0, 0, 0x22 }, 8, 0 },	/* address */
	{ { 1, 1, 1, 0, 0, 0, 0, 0x22 }, 8, 1 },
	{ { 1, 1, 2, 0, 0, 0, 0 }, 7, 1 },
	{ { 2, 0, 5, 0 }, 4, 0 },		/* VLAN */
	{ { 2, 1, 5, 0 }, 4, 0 },
	{ { 2, 0, 0, 0x10 }, 4, 1 },
	{ { 3, 0 }, 2, 0 },			/* announced */
	{ { 4, 0, 2, 0 }, 4, 0 },		/* pairs */
	{ { 4, 0, 3, 0 }, 4, 0 },
	{ { 4, 0, 0, 0 }, 4, 1 },
	{ { 4, 0, 4, 0 }, 4, 1 },
	{ { 4, 0, 1 }, 3, 1 },
	{ { 4, 1, 1, 0 }, 4, 1 },		/* RSS */
	{ { 5, 0, 2, 0, 0, 0, 0, 0, 0, 0 }, 10, 0 },	/* offloads */
	{ { 5, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 0 },
	{ { 5, 0, 0, 4, 0, 0, 0, 0, 0, 0 }, 10, 1 },	/* UFO, not negotiated */
	{ { 5, 0, 1, 0, 0, 0, 0, 0, 0, 0 }, 10, 1 },	/* no offload at all */
	{ { 5, 0, 0, 0, 0, 0, 0, 0, 0 }, 9, 1 },
	{ { 99, 0, 0 }, 3, 1 },
	{ { 0 }, 1, 1 },
};

#define ALL_CTRL (CTRL | MQ | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | \
		  BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | \
		  BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | \
		  BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MAC) | MRG)

/* proves: net.commands, net.offloads */
START_TEST(commanded)
{
	const struct nic_params params = { .pairs = 3, .rings = 7, .features = ALL_CTRL, .mac = mac,
					   .workers = (unsigned int)_i };
	struct virtio_net_config config;
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		int ack = command(6, commands[i].bytes, commands[i].len, i & 1);

		ck_assert_msg(ack == commands[i].ack, "command %u: %d", i, ack);
	}
	get_config(&config);
	ck_assert_uint_eq(config.mac[5], 0x22);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* The same commands when nothing of all that was negotiated. */
/* proves: net.commands */
START_TEST(commands_not_negotiated)
{
	const struct nic_params params = { .rings = 3, .features = CTRL };
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		ck_assert_int_eq(command(2, commands[i].bytes, commands[i].len, false), 1);
	/* No room for an answer; and nothing but that. */
	nic_add_packet(&nic, 2, NULL, 10, 0, NULL, 0);
	nic_add_buffer(&nic, 2, 1, 1);
	fe_ring_submit(&nic.ring[2]);
	ck_assert_uint_eq(nic_get(&nic, 2, NULL), 0);
	ck_assert_uint_eq(nic_get(&nic, 2, NULL), 1);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* A driver with a control queue begins with one pair, and says when it wants more. */
/* proves: net.pairs */
START_TEST(pairs_by_command)
{
	const struct nic_params params = { .pairs = 2, .rings = 5, .features = ALL_CTRL,
					   .workers = 2 };
	static const uint8_t one[4] = { 4, 0, 1, 0 }, two[4] = { 4, 0, 2, 0 };
	unsigned int i;

	nic_up(&nic, &params);
	nic_add_buffer(&nic, 2, 2000, 1);
	nic_add_buffer(&nic, 2, 2000, 1);
	fe_ring_submit(&nic.ring[2]);
	nic_send(&nic, 1, 300, 1);
	for (i = 0; i < 100; i++)
		nic_stats(&nic, 2, &stats);
	ck_assert(!fe_ring_ready(&nic.ring[2]));
	ck_assert_int_eq(command(4, two, 4, false), 0);
	ck_assert_uint_eq(nic_get(&nic, 2, NULL), NIC_HDR + 300);
	ck_assert_int_eq(command(4, one, 4, false), 0);
	nic_stats(&nic, 2, &stats);
	nic_send(&nic, 1, 300, 1);
	nic_add_packet(&nic, 3, NULL, 100, 1, NULL, 0);
	fe_ring_submit(&nic.ring[3]);
	nic_get(&nic, 3, NULL);
	nic_stats(&nic, 2, &stats);
	ck_assert(!fe_ring_ready(&nic.ring[2]));
	nic_expect_silence(&nic, 1);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/*
 * Messages
 */

/* proves: net.rarp */
START_TEST(rarp)
{
	static const uint8_t head[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x11, 0x80, 0x35,
		0, 1, 8, 0, 6, 4, 0, 3, 0x02, 0, 0, 0, 0, 0x11, 0, 0, 0, 0,
		0x02, 0, 0, 0, 0, 0x11, 0, 0, 0, 0,
	};
	uint8_t buf[200];
	const struct nic_params params = { .legacy = _i };
	size_t hdr = _i ? 10 : 12;

	nic_up(&nic, &params);
	ck_assert_int_eq(fe_send_rarp(&nic.fe, mac), 0);
	ck_assert_uint_eq(nic_recv(&nic, 0, buf, sizeof(buf)), hdr + 60);
	ck_assert_mem_eq(buf + hdr, head, sizeof(head));
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* proves: net.mtu */
START_TEST(mtu)
{
	nic_up(&nic, &(struct nic_params){ 0 });
	ck_assert_int_eq(fe_net_set_mtu(&nic.fe, 68), 0);
	ck_assert_int_eq(fe_net_set_mtu(&nic.fe, 65535), 0);
	ck_assert_int_eq(fe_net_set_mtu(&nic.fe, 67), -EIO);
	ck_assert_int_eq(fe_net_set_mtu(&nic.fe, 65536), -EIO);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/*
 * The link
 */

/* The interface goes while the driver sends (1), or while nothing happens, and comes back. */
/* proves: net.link, net.announce, net.gone */
START_TEST(link_down_and_up)
{
	const struct nic_params params = { .pairs = 2, .features = ALL_CTRL | BIT(VIRTIO_NET_F_STATUS),
					   .rings = 5, .workers = (unsigned int)_i >> 1 };
	unsigned int calls, i;

	nic_up(&nic, &params);
	nic_expect_alive(&nic);
	if (_i & 1)
		nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_cut(&nic);
	nic_add_packet(&nic, 1, NULL, 100, 1, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	nic_get(&nic, 1, NULL);
	wait_for_links(1);
	ck_assert(!atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), 0);
	nic_stats(&nic, 0, &stats);
	calls = atomic_load(&nic_rx_calls);
	for (i = 0; i < 1000; i++)
		nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(atomic_load(&nic_rx_calls), calls);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.no_link, 1);
	ck_assert_uint_eq(stats.discarded, 0);

	nic_mend(&nic);
	wait_for_links(2);
	ck_assert(atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	ck_assert_int_eq(command(4, "\3\0", 2, false), 0);
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP);
	if (_i & 1) {
		nic_send(&nic, 0, 400, 1);
		ck_assert_uint_eq(nic_get(&nic, 0, NULL), NIC_HDR + 400);
	}
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* It ends while the interface is away. */
START_TEST(end_without_link)
{
	nic_up(&nic, &(struct nic_params){ .workers = (unsigned int)_i });
	nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_cut(&nic);
	wait_for_links(1);
	nic_down(&nic);
}
END_TEST

/*
 * Somebody sets the interface down and up again: packets which wait for it to have room are over.
 */
static void pull(void *arg)
{
	virtio_net_set_link(nic.net, *(const bool *)arg);
}

/* Nothing goes either way, and what was sent meanwhile is not kept for later. */
START_TEST(pulled_and_plugged)
{
	const struct nic_params params = { .features = ALL_CTRL | BIT(VIRTIO_NET_F_STATUS),
					   .rings = 3, .workers = (unsigned int)_i };
	bool up = false;

	nic_up(&nic, &params);
	nic_expect_alive(&nic);
	vhost_worker_call(nic.control, pull, &up);
	ck_assert_uint_eq(atomic_load(&nic.links), 1);
	ck_assert(!atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), 0);
	nic_add_packet(&nic, 1, NULL, 100, 1, NULL, 0);
	nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	fe_ring_submit(&nic.ring[1]);
	nic_get(&nic, 1, NULL);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.no_link, 1);
	nic_expect_silence(&nic, 0);
	/* Again is not news. */
	vhost_worker_call(nic.control, pull, &up);
	ck_assert_uint_eq(atomic_load(&nic.links), 1);

	up = true;
	vhost_worker_call(nic.control, pull, &up);
	ck_assert_uint_eq(atomic_load(&nic.links), 2);
	ck_assert(atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	nic_send(&nic, 0, 400, 1);
	ck_assert_uint_eq(nic_get(&nic, 0, NULL), NIC_HDR + 400);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* proves: net.link, net.announce */
START_TEST(set_down_and_up)
{
	const struct nic_params params = { .features = ALL_CTRL | BIT(VIRTIO_NET_F_STATUS),
					   .rings = 3, .workers = (unsigned int)_i };
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < 60; i++)
		nic_add_packet(&nic, 1, NULL, 30000, i, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	nic_set_link(PORT_DOWN);
	for (i = 0; i < 60; i++)
		nic_get(&nic, 1, NULL);
	wait_for_links(1);
	ck_assert(!atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), 0);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_gt(stats.no_link, 0);
	ck_assert_uint_eq(stats.no_link + stats.packets, 60);
	/* The same news again is none. */
	nic_set_link(PORT_DOWN);
	for (i = 0; i < stats.packets; i++)
		nic_expect(&nic, 0, NULL, 30000, i);

	nic_set_link(PORT_UP);
	wait_for_links(2);
	ck_assert(atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* proves: net.link */
START_TEST(down_at_first)
{
	const struct nic_params params = { .features = BIT(VIRTIO_NET_F_STATUS), .down = true };

	nic_up(&nic, &params);
	ck_assert_uint_eq(atomic_load(&nic.links), 1);
	ck_assert_uint_eq(get_status(), 0);
	nic_set_link(PORT_UP);
	wait_for_links(2);
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* No packet is needed to find out that the interface has gone; it is down when it is back. */
/* proves: net.gone */
START_TEST(gone_while_idle)
{
	nic_up(&nic, &(struct nic_params){ .features = BIT(VIRTIO_NET_F_STATUS) });
	nic_set_link(PORT_GONE);
	wait_for_links(1);
	ck_assert(!atomic_load(&nic.link));
	ck_assert_uint_eq(get_status(), 0);
	nic_set_link(PORT_DOWN);
	nic_cut(&nic);
	nic_mend(&nic);
	/* It is back, and it is down. */
	wait_for_links(3);
	ck_assert_uint_eq(get_status(), 0);
	nic_set_link(PORT_UP);
	wait_for_links(4);
	ck_assert_uint_eq(get_status(), VIRTIO_NET_S_LINK_UP);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_net_modes");
	TCase *tc = tcase_create("modes");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, offered, 0, 2);
	tcase_add_loop_test(tc, disabled, 0, 4);
	tcase_add_test(tc, disabled_while_it_waits);
	tcase_add_loop_test(tc, pairs, 0, 4);
	tcase_add_loop_test(tc, commanded, 0, 3);
	tcase_add_test(tc, commands_not_negotiated);
	tcase_add_test(tc, pairs_by_command);
	tcase_add_loop_test(tc, rarp, 0, 2);
	tcase_add_test(tc, mtu);
	tcase_add_loop_test(tc, link_down_and_up, 0, 4);
	tcase_add_loop_test(tc, end_without_link, 0, 2);
	tcase_add_loop_test(tc, pulled_and_plugged, 0, 2);
	tcase_add_loop_test(tc, set_down_and_up, 0, 2);
	tcase_add_test(tc, down_at_first);
	tcase_add_test(tc, gone_while_idle);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
