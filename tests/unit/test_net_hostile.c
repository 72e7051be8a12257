/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests which mean harm to a network device: each costs itself its packet or its queue, at
 * worst.
 */
#include "nic.h"

#include <endian.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>

#include "frontend/fe_chaos.h"
#include "tap.h"
#include "util.h"

#define MRG	BIT(VIRTIO_NET_F_MRG_RXBUF)
#define PACKED	BIT(VIRTIO_F_RING_PACKED)

static struct nic nic;
static struct virtio_net_stats stats;

/* Both formats of rings, each with and without mergeable buffers. */
static const uint64_t formats[] = { 0, MRG, PACKED, PACKED | MRG };

static void hostile_up(int i, uint64_t features)
{
	const struct nic_params params = { .features = formats[i] | features };

	nic_up(&nic, &params);
}

/* A chain of n elements of len bytes to be sent, all zero; it comes back and nothing is sent. */
static void hostile_chain(size_t len, unsigned int n)
{
	uint8_t *mem = fe_mem_alloc(&nic.mem, MAX(len * n, 1u), 1);
	struct iovec out[256];
	unsigned int i;

	ck_assert(mem && n <= ARRAY_SIZE(out));
	for (i = 0; i < n; i++)
		out[i] = (struct iovec){ mem + i * len, len };
	ck_assert_int_ge(fe_ring_add(&nic.ring[1], out, n, NULL, 0, mem), 0);
	fe_ring_submit(&nic.ring[1]);
	ck_assert_uint_eq(nic_get(&nic, 1, NULL), 0);
	nic_expect_silence(&nic, 0);
}

/* Nothing was sent; so many were dropped for these reasons; the device is well. */
static void hostile_end(unsigned int malformed, unsigned int too_long)
{
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.malformed, malformed);
	ck_assert_uint_eq(stats.too_long, too_long);
	ck_assert_uint_eq(stats.packets + stats.refused + stats.discarded + stats.no_link, 0);
	nic_expect_alive(&nic);
	nic_down(&nic);
}

/* Offsets of a checksum, and offloads, which leave the packet or were not negotiated. */
static const struct {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
} offsets[] = {
	{ 1, 0, 0, 0, 0xffff, 0xffff },
	{ 1, 0, 0, 0, 0xffff, 0 },
	{ 1, 0, 0, 0, 1000, 0 },
	{ 1, 0, 0, 0, 999, 0 },
	{ 1, 0, 0, 0, 998, 1 },
	{ 1, 0, 0, 0, 34, 0xffff },
	{ 1, 0, 0, 0, 34, 965 },
	{ 1, 0, 0, 0, 0, 16 },
	{ 1, 0, 0, 0, 13, 16 },
	{ 1, 1, 54, 500, 990, 6 },	/* a TCP header beyond the end */
	{ 1, 1, 54, 0, 34, 16 },	/* segments of no bytes */
	{ 1, 4, 54, 500, 34, 16 },	/* TCP over IPv6, not negotiated */
	{ 1, 3, 54, 500, 34, 6 },	/* UDP */
	{ 1, 5, 54, 500, 34, 6 },
	{ 1, 0x81, 54, 500, 34, 16 },	/* ECN */
	{ 1, 0x80, 54, 500, 34, 16 },
	{ 0, 2, 54, 500, 0, 0 },	/* no such types */
	{ 0, 0x7f, 54, 500, 0, 0 },
};

/* proves: net.checksum-offsets, net.segments */
START_TEST(bad_offsets_in_the_header)
{
	unsigned int i;

	hostile_up(_i, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		const struct virtio_net_hdr_v1 hdr = {
			.flags = offsets[i].flags, .gso_type = offsets[i].gso_type,
			.hdr_len = htole16(offsets[i].hdr_len),
			.gso_size = htole16(offsets[i].gso_size),
			.csum_start = htole16(offsets[i].csum_start),
			.csum_offset = htole16(offsets[i].csum_offset),
		};

		nic_add_packet(&nic, 1, &hdr, 1000, i, NULL, 0);
		fe_ring_submit(&nic.ring[1]);
		nic_get(&nic, 1, NULL);
		nic_expect_silence(&nic, 0);
	}
	hostile_end(ARRAY_SIZE(offsets), 0);
}
END_TEST

/* A header and nothing behind it; no header either. */
/* proves: net.tiny-chains */
START_TEST(packet_of_no_bytes)
{
	hostile_up(_i, 0);
	hostile_chain(NIC_HDR, 1);
	hostile_chain(1, NIC_HDR);
	hostile_chain(1, 1);
	hostile_end(3, 0);
}
END_TEST

/*
 * Elements of no bytes count for nothing, wherever they are; a chain of nothing else is no
 * packet.
 */
/* proves: net.tiny-chains */
START_TEST(descriptors_of_no_bytes)
{
	static const size_t cuts[] = { 0, 5, 0, 7, 0, 20, 0 };

	hostile_up(_i, 0);
	hostile_chain(0, 1);
	hostile_chain(0, 100);
	nic_add_packet(&nic, 1, NULL, 300, 4, cuts, ARRAY_SIZE(cuts));
	fe_ring_submit(&nic.ring[1]);
	nic_expect(&nic, 0, NULL, 300, 4);
	nic_get(&nic, 1, NULL);
	nic_add_buffer(&nic, 0, 0, 3);
	fe_ring_submit(&nic.ring[0]);
	ck_assert_uint_eq(nic_get(&nic, 0, NULL), 0);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.malformed, 1);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.malformed, 2);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* Descriptors of one byte, too few for a packet, and as many as a packet can have. */
/* proves: net.tiny-chains, net.header-copied */
START_TEST(descriptors_of_one_byte)
{
	size_t cuts[250];
	unsigned int i;

	hostile_up(_i, 0);
	for (i = 1; i < NIC_HDR + 14; i += 3)
		hostile_chain(1, i);
	for (i = 0; i < ARRAY_SIZE(cuts); i++)
		cuts[i] = 1;
	nic_add_packet(&nic, 1, NULL, ARRAY_SIZE(cuts) - NIC_HDR, 5, cuts, ARRAY_SIZE(cuts));
	fe_ring_submit(&nic.ring[1]);
	nic_expect(&nic, 0, NULL, ARRAY_SIZE(cuts) - NIC_HDR, 5);
	nic_get(&nic, 1, NULL);
	nic_stats(&nic, 1, &stats);
	ck_assert_uint_eq(stats.malformed, 9);
	ck_assert_uint_eq(stats.packets, 1);
	nic_expect_alive(&nic);
	nic_down(&nic);
}
END_TEST

/* Packets of 1 MiB, in one descriptor and in many; and the first length which is too much. */
/* proves: net.tiny-chains */
START_TEST(packets_of_one_mebibyte)
{
	hostile_up(_i, 0);
	hostile_chain(1 << 20, 1);
	hostile_chain(1 << 13, 128);
	hostile_chain(NIC_HDR + PORT_PACKET_MAX + 1, 1);
	hostile_end(0, 3);
}
END_TEST

/* Buffers which are to be written where something is to be read, and the other way round. */
START_TEST(buffers_of_the_wrong_direction)
{
	struct iovec v;

	hostile_up(_i, 0);
	nic_add_buffer(&nic, 1, 2000, 1);
	fe_ring_submit(&nic.ring[1]);
	ck_assert_uint_eq(nic_get(&nic, 1, NULL), 0);
	v = (struct iovec){ fe_mem_alloc(&nic.mem, 2000, 1), 2000 };
	ck_assert_int_ge(fe_ring_add(&nic.ring[0], &v, 1, NULL, 0, v.iov_base), 0);
	fe_ring_submit(&nic.ring[0]);
	ck_assert_uint_eq(nic_get(&nic, 0, NULL), 0);
	nic_stats(&nic, 0, &stats);
	ck_assert_uint_eq(stats.malformed, 1);
	hostile_end(1, 0);
}
END_TEST

/* Each wrong chain costs its queue at worst: the other one goes on. */
START_TEST(wrong_chains)
{
	const struct fe_mutation *m;
	unsigned int ring = (unsigned int)_i & 1;

	for (m = fe_mutations; m->name; m++) {
		const struct nic_params params = { .features = _i & 2 ? PACKED | MRG : 0 };

		nic_up(&nic, &params);
		if (fe_mutation_fits(m, &nic.ring[ring])) {
			m->apply(&nic.ring[ring], fe_mem_alloc(&nic.mem, FE_MUTATION_ROOM, 4096));
			fe_ring_kick_always(&nic.ring[ring]);
			nic_send(&nic, 0, 100, 1);
			nic_stats(&nic, ring, &stats);
			ck_assert_int_eq(fe_sync(&nic.fe), 0);
		}
		nic_down(&nic);
	}
}
END_TEST

/* Rings and packets change while they are looked at. */
START_TEST(chaotic)
{
	struct fe_chaos chaos = { .seed = (uint64_t)_i + 1 };
	const struct nic_params params = { .features = _i & 1 ? PACKED | MRG : MRG, .workers = 1 };
	uint8_t buf[NIC_HDR + 2048];
	unsigned int i;

	nic_up(&nic, &params);
	for (i = 0; i < 100; i++) {
		nic_add_buffer(&nic, 0, 500, 2);
		nic_add_packet(&nic, 1, NULL, 1000, i, NULL, 0);
	}
	for (i = 0; i < 2; i++)
		ck_assert(!fe_chaos_add_ring(&chaos, &nic.ring[i]));
	ck_assert(!fe_chaos_add(&chaos, nic.mem.regions[0].ptr, 1 << 20, 2));
	ck_assert(!fe_chaos_start(&chaos));
	for (i = 0; i < 200; i++) {
		fe_ring_publish(&nic.ring[0]);
		fe_ring_publish(&nic.ring[1]);
		fe_ring_kick_always(&nic.ring[0]);
		fe_ring_kick_always(&nic.ring[1]);
		send(nic.wires[0], buf, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (recv(nic.wires[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		ck_assert_int_eq(fe_chaos_wait(&chaos, i * 100, FE_TIMEOUT_MS), 0);
	}
	fe_chaos_stop(&chaos);
	ck_assert_int_eq(fe_sync(&nic.fe), 0);
	nic_down(&nic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_hostile");
	TCase *tc = tcase_create("hostile");
	const int n = ARRAY_SIZE(formats);

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, bad_offsets_in_the_header, 0, n);
	tcase_add_loop_test(tc, packet_of_no_bytes, 0, n);
	tcase_add_loop_test(tc, descriptors_of_no_bytes, 0, n);
	tcase_add_loop_test(tc, descriptors_of_one_byte, 0, n);
	tcase_add_loop_test(tc, packets_of_one_mebibyte, 0, n);
	tcase_add_loop_test(tc, buffers_of_the_wrong_direction, 0, n);
	tcase_add_loop_test(tc, wrong_chains, 0, 4);
	tcase_add_loop_test(tc, chaotic, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
