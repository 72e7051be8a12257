/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets through a real virtio-net device, queues and port. */
#include "nic.h"

#include <endian.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "tap.h"
#include "util.h"

#define MRG	BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	BIT(VIRTIO_F_RING_PACKED)
#define ORDER	BIT(VIRTIO_F_IN_ORDER)

/* Ring formats, each with and without mergeable buffers, on the control worker and on others. */
static const struct nic_params kinds[] = {
	{ .features = 0 },
	{ .features = MRG },
	{ .features = PACKED, .workers = 1 },
	{ .features = PACKED | MRG },
	{ .features = ORDER | MRG, .workers = 1 },
	{ .features = PACKED | ORDER | MRG, .workers = 1 },
	{ .features = 0, .legacy = true },
	{ .features = MRG, .legacy = true },
};

static const size_t sizes[] = { 14, 15, 60, 1514, 2036, 2037, 2048, 4096, 9014, 32768, 65535,
				PORT_PACKET_MAX };

static struct nic nic;
static struct virtio_net_stats stats;

/*
 * Sending
 */

static const struct {
	size_t cuts[14];
	unsigned int n;
} framings[] = {
	{ { 0 }, 0 },				/* all in one */
	{ { 12 }, 1 },				/* header, packet */
	{ { 10 }, 1 },
	{ { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, 14 },
	{ { 5, 5, 5, 5, 5 }, 5 },
	{ { 11, 2, 1 }, 3 },
	{ { 26 }, 1 },				/* with the Ethernet header */
	{ { 12, 14, 20, 20, 1000 }, 5 },
};

/* proves: net.header-length, net.header-copied, chain.header-split */
START_TEST(sent_in_any_framing)
{
	unsigned int i, j;

	nic_up(&nic, &kinds[_i]);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(framings); j++) {
			nic_add_packet(&nic, 1, NULL, sizes[i], i, framings[j].cuts, framings[j].n);
			fe_ring_submit(&nic.ring[1]);
			nic_expect(&nic, 0, NULL, sizes[i], i);
			ck_assert_uint_eq(nic_get(&nic, 1, NULL), 0);
		}
	}
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.packets, ARRAY_SIZE(sizes) * ARRAY_SIZE(framings));
	ck_assert_uint_eq(stats.malformed + stats.too_long + stats.refused + stats.discarded, 0);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* The header which reaches the wire is what was judged. */
/* proves: net.header-copied, net.checksum-offsets, net.segments, chain.header-copied */
START_TEST(sent_with_offloads)
{
	const struct nic_params params = { .features = BIT(VIRTIO_NET_F_CSUM) |
						       BIT(VIRTIO_NET_F_HOST_TSO4) };
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = htole16(54),
		.gso_size = htole16(1000), .csum_start = htole16(34), .csum_offset = htole16(16),
	}, after = hdr, bad = hdr;

	nic_up(&nic, &params);
	after.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	bad.csum_start = htole16(4000);
	nic_add_packet(&nic, 1, &bad, 3000, 1, NULL, 0);
	nic_add_packet(&nic, 1, &hdr, 3000, 2, NULL, 0);
	bad = hdr;
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	nic_add_packet(&nic, 1, &bad, 3000, 3, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	nic_expect(&nic, 0, &after, 3000, 2);
	nic_get(&nic, 1, NULL), nic_get(&nic, 1, NULL), nic_get(&nic, 1, NULL);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.malformed, 2);
	ck_assert_uint_eq(stats.packets, 1);
	ck_assert_uint_eq(stats.bytes, 3000);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* Chains which are no packets. */
/* proves: net.tiny-chains */
START_TEST(not_sent)
{
	const size_t h = kinds[_i].legacy && !(kinds[_i].features & MRG) ? 10 : 12;
	const size_t lens[] = { 1, 9, h - 1, h, h + 1, h + 13, h + PORT_PACKET_MAX + 1, 1 << 20 };
	uint8_t *mem;
	struct iovec v;
	size_t i;

	nic_up(&nic, &kinds[_i]);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		mem = fe_mem_alloc(&nic.mem, lens[i], 1);
		v = (struct iovec){ mem, lens[i] };
		ck_assert_int_ge(fe_ring_add(&nic.ring[1], &v, 1, NULL, 0, mem), 0);
	}
	/* Nothing to read at all. */
	v.iov_len = 100;
	ck_assert_int_ge(fe_ring_add(&nic.ring[1], NULL, 0, &v, 1, mem), 0);
	fe_ring_submit(&nic.ring[1]);
	for (i = 0; i <= ARRAY_SIZE(lens); i++)
		ck_assert_uint_eq(nic_get(&nic, 1, NULL), 0);
	nic_expect_silence(&nic, 0);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.malformed, 7);
	ck_assert_uint_eq(stats.too_long, 2);
	ck_assert_uint_eq(stats.packets, 0);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* More pieces than one call of the port takes: 600 of them, by an indirect table. */
START_TEST(sent_in_many_pieces)
{
	const struct nic_params params = { .ring_size = 1024 };
	static struct iovec out[600];
	uint8_t *mem;
	unsigned int i;

	nic_up(&nic, &params);
	nic.ring[1].indirect = 0;
	mem = fe_mem_alloc(&nic.mem, 6000, 1);
	nic_fill(mem + NIC_HDR, 6000 - NIC_HDR, 5);
	for (i = 0; i < 600; i++)
		out[i] = (struct iovec){ mem + i * 10, 10 };
	ck_assert_int_ge(fe_ring_add(&nic.ring[1], out, 600, NULL, 0, mem), 0);
	fe_ring_submit(&nic.ring[1]);
	nic_expect(&nic, 0, NULL, 6000 - NIC_HDR, 5);
	nic_get(&nic, 1, NULL);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* The wire takes no more: what was popped waits in the ring, in order, and nothing spins. */
/* proves: net.back-pressure */
START_TEST(back_pressure)
{
	unsigned int i, n, calls;

	nic_up(&nic, &kinds[_i]);
	for (i = 0; i < 60; i++)
		nic_add_packet(&nic, 1, NULL, 30000, i, NULL, 0);
	fe_ring_submit(&nic.ring[1]);
	nic_stats(&nic, 1, &stats);
	do {
		calls = atomic_load(&nic_tx_calls);
		/* Two turns of the worker: would it spin, it would have called the port. */
		nic_stats(&nic, 1, &stats);
		nic_stats(&nic, 1, &stats);
	} while (!stats.packets || calls != atomic_load(&nic_tx_calls));
	ck_assert_uint_lt(stats.packets, 60);
	calls = atomic_load(&nic_tx_calls);
	for (i = 0; i < 1000; i++)
		nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(calls, atomic_load(&nic_tx_calls));
	for (i = 0; i < 60; i++)
		nic_expect(&nic, 0, NULL, 30000, i);
	for (n = 0; n < 60; n++)
		nic_get(&nic, 1, NULL);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.packets, 60);
	/* At most one futile call for each wake-up. */
	ck_assert_uint_le(atomic_load(&nic_tx_calls), 2 * 60);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/*
 * Receiving
 */

/* Collect a packet of which the first buffer is the next to come back, and check it. */
static void receive(size_t len, uint32_t seed, size_t buffer)
{
	static uint8_t packet[NIC_HDR + NIC_PACKET_MAX];
	size_t head = hdr_len(nic.fe.features), got = 0, i;
	unsigned int num = 1, n;
	uint16_t field;

	for (n = 0; n < num; n++) {
		void *mem;
		uint32_t used = nic_get(&nic, 0, &mem);

		ck_assert_uint_le(used, buffer);
		/* All but the last are full. */
		ck_assert_uint_eq(used, MIN(buffer, head + len - got));
		memcpy(packet + got, mem, used);
		got += used;
		if (!n && head == 12) {
			memcpy(&field, packet + 10, 2);
			num = le16toh(field);
			ck_assert_uint_eq(num, (head + len + buffer - 1) / buffer);
		}
	}
	ck_assert_uint_eq(got, head + len);
	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(packet[i], 0);
	nic_check(packet + head, len, seed);
}

/* Descriptors of a receive buffer: how many, and of how many bytes. */
static const struct { size_t len; unsigned int n; bool mergeable; } buffers[] = {
	{ 66000, 1, false }, { 33000, 2, false }, { 300, 230, false },
	{ 1526, 1, true }, { 2048, 1, true }, { 4096, 1, true }, { 64, 25, true }, { 1, 250, true },
	{ 700, 3, true }, { 65547, 1, true }, { 12, 30, true },
};

/* proves: net.merged, net.header-length */
START_TEST(received_in_any_framing)
{
	bool mergeable = kinds[_i].features & MRG;
	unsigned int i, j;

	for (j = 0; j < ARRAY_SIZE(buffers); j++) {
		size_t room = buffers[j].len * buffers[j].n;

		if (buffers[j].mergeable && !mergeable)
			continue;
		nic_up(&nic, &kinds[_i]);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			size_t need = (sizes[i] + NIC_HDR + room - 1) / room, k;

			if (need > 250)
				continue;
			for (k = 0; k < need; k++)
				nic_add_buffer(&nic, 0, buffers[j].len, buffers[j].n);
			fe_ring_submit(&nic.ring[0]);
			nic_send(&nic, 0, sizes[i], i);
			receive(sizes[i], i, room);
			/* One more when the header's length makes the difference. */
			while (nic.ring[0].outstanding) {
				nic_send(&nic, 0, 14, 9);
				receive(14, 9, room);
			}
		}
		nic_down(&nic);
	}
}
END_TEST

/* Many packets at once, of changing sizes, into buffers which come in time or too late. */
START_TEST(received_in_turn)
{
	bool mergeable = kinds[_i].features & MRG;
	size_t room = mergeable ? 1600 : 66000;
	unsigned int i, j, sent = 0;

	nic_up(&nic, &kinds[_i]);
	for (i = 0; i < 300; i++) {
		size_t len = 14 + i * 7919 % 20000;

		if (nic.mem.regions[0].used > 60u << 20)
			break;
		for (j = 0; j < (len + NIC_HDR) / room + 1; j++) {
			if (nic.ring[0].outstanding < 200)
				nic_add_buffer(&nic, 0, room, 1);
			if (i % 3)
				fe_ring_submit(&nic.ring[0]);
		}
		nic_send(&nic, 0, len, i);
		fe_ring_submit(&nic.ring[0]);
		receive(len, i, room);
		sent++;
	}
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.packets, sent);
	ck_assert_uint_eq(stats.malformed + stats.too_long + stats.refused + stats.discarded, 0);
	nic_down(&nic);
}
END_TEST

/* Nothing of the port is looked at while the driver has no buffers, and nothing is lost. */
/* proves: net.no-buffers */
START_TEST(no_buffers)
{
	unsigned int calls, i;

	nic_up(&nic, &kinds[_i]);
	for (i = 0; i < 10; i++)
		nic_send(&nic, 0, 100 + i, i);
	for (i = 0; i < 1000; i++)
		nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(atomic_load(&nic_rx_calls), 0);
	for (i = 0; i < 10; i++) {
		nic_add_buffer(&nic, 0, 2000, 1);
		fe_ring_submit(&nic.ring[0]);
		receive(100 + i, i, 2000);
		/* One for the packet; none for the want of a buffer. */
		ck_assert_uint_eq(atomic_load(&nic_rx_calls), i + 1);
	}
	/* Buffers, but no packets: one look, and then silence. */
	for (i = 0; i < 5; i++)
		nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	do {
		nic_stats(&nic, 0, &stats);
	} while ((calls = atomic_load(&nic_rx_calls)) < 11);
	for (i = 0; i < 1000; i++)
		nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(atomic_load(&nic_rx_calls), calls);
	for (i = 0; i < 5; i++) {
		nic_send(&nic, 0, 1000, i);
		receive(1000, i, 2000);
	}
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* A packet for which the driver has only some of the buffers waits in them for the others. */
START_TEST(buffers_come_late)
{
	unsigned int i;

	nic_up(&nic, &kinds[_i]);
	nic_add_buffer(&nic, 0, 1000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_send(&nic, 0, 5000, 3);
	for (i = 0; i < 5; i++) {
		ck_assert(!fe_ring_ready(&nic.ring[0]));
		nic_add_buffer(&nic, 0, 1000, 1);
		fe_ring_submit(&nic.ring[0]);
	}
	receive(5000, 3, 1000);
	/* The same, and the ring stops meanwhile: the packet is lost, the buffers are not. */
	nic_add_buffer(&nic, 0, 1000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_send(&nic, 0, 5000, 4);
	do {
		nic_stats(&nic, 0, &stats);
	} while (atomic_load(&nic_rx_calls) < 2);
	ck_assert_int_eq(fe_stop_ring(&nic.fe, &nic.ring[0], NULL), 0);
	ck_assert(!fe_ring_ready(&nic.ring[0]));
	ck_assert_int_eq(fe_start_ring(&nic.fe, &nic.ring[0]), 0);
	nic_send(&nic, 0, 500, 5);
	receive(500, 5, 1000);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.packets, 2);
	ck_assert_uint_eq(stats.discarded, 1);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* What cannot ever fit is dropped, and what comes after it is received into the same buffers. */
/* proves: net.too-long */
START_TEST(received_too_long)
{
	struct nic_params params = kinds[_i];
	unsigned int i;

	params.ring_size = 4;
	nic_up(&nic, &params);
	for (i = 0; i < 4; i++)
		nic_add_buffer(&nic, 0, 1000, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_send(&nic, 0, 30000, 1);
	nic_send(&nic, 0, 60000, 2);
	nic_send(&nic, 0, 900, 3);
	receive(900, 3, 1000);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.too_long, 2);
	ck_assert_uint_eq(stats.packets, 1);
	for (i = 0; i < 3; i++) {
		nic_send(&nic, 0, 100, i);
		receive(100, i, 1000);
	}
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* A ring has more requests than may be held: a packet takes all of those, or is dropped. */
START_TEST(received_in_most_pieces)
{
	const struct nic_params params = { .features = MRG, .ring_size = 2048 };
	const size_t buffer = 63, most = 1024 * buffer - NIC_HDR;
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < 1023; i++)
		nic_add_buffer(&nic, 0, buffer, 1);
	fe_ring_submit(&nic.ring[0]);
	/* One is missing, and then many are there. */
	nic_send(&nic, 0, PORT_PACKET_MAX, 1);
	while (!atomic_load(&nic_rx_calls))
		;
	nic_stats(&nic, 0, &stats);
	for (; i < params.ring_size; i++)
		nic_add_buffer(&nic, 0, buffer, 1);
	fe_ring_submit(&nic.ring[0]);
	nic_send(&nic, 0, most + 1, 2);
	nic_send(&nic, 0, most, 3);
	receive(most, 3, buffer);
	nic_send(&nic, 0, 100, 4);
	receive(100, 4, buffer);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.too_long, 2);
	ck_assert_uint_eq(stats.packets, 2);
	nic_down(&nic);
}
END_TEST

/* Buffers which cannot take a header come back empty. */
START_TEST(no_room_for_a_header)
{
	static const uint8_t out_only[4];
	struct iovec v = { (void *)(uintptr_t)out_only, 4 };
	unsigned int i;

	nic_up(&nic, &kinds[_i]);
	for (i = 1; i < 10; i++)
		nic_add_buffer(&nic, 0, 1, i);
	v.iov_base = fe_mem_alloc(&nic.mem, 4, 1);
	ck_assert_int_ge(fe_ring_add(&nic.ring[0], &v, 1, NULL, 0, v.iov_base), 0);
	nic_add_buffer(&nic, 0, 2000, 1);
	fe_ring_submit(&nic.ring[0]);
	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(nic_get(&nic, 0, NULL), 0);
	nic_send(&nic, 0, 500, 1);
	receive(500, 1, 2000);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.malformed, 10);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_net");
	TCase *tc = tcase_create("send");
	const int n = ARRAY_SIZE(kinds);

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, sent_in_any_framing, 0, n);
	tcase_add_test(tc, sent_with_offloads);
	tcase_add_loop_test(tc, not_sent, 0, n);
	tcase_add_test(tc, sent_in_many_pieces);
	tcase_add_loop_test(tc, back_pressure, 0, n);
	suite_add_tcase(suite, tc);

	tc = tcase_create("receive");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, received_in_any_framing, 0, n);
	tcase_add_loop_test(tc, received_in_turn, 0, n);
	tcase_add_loop_test(tc, no_buffers, 0, n);
	tcase_add_loop_test(tc, buffers_come_late, 3, 6);
	tcase_add_loop_test(tc, received_too_long, 0, n);
	tcase_add_test(tc, received_in_most_pieces);
	tcase_add_loop_test(tc, no_room_for_a_header, 0, n);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
