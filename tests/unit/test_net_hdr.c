/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made of the header of a packet to be sent. */
#include <endian.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "net/hdr.h"
#include "tap.h"
#include "util.h"

#define CSUM	BIT(VIRTIO_NET_F_CSUM)
#define TSO4	(CSUM | BIT(VIRTIO_NET_F_HOST_TSO4))
#define TSO6	(CSUM | BIT(VIRTIO_NET_F_HOST_TSO6))
#define ECN	(TSO4 | BIT(VIRTIO_NET_F_HOST_ECN))
#define UFO	(CSUM | BIT(VIRTIO_NET_F_HOST_UFO))
#define USO	(CSUM | BIT(VIRTIO_NET_F_HOST_USO))
#define ALL	(TSO4 | TSO6 | ECN | UFO | USO)

static const struct {
	const char *what;
	struct virtio_net_hdr_v1 hdr;	/* flags, gso_type, hdr_len, gso_size, start, offset, buffers */
	size_t len;
	uint64_t features;
	bool good;
	struct virtio_net_hdr_v1 after;	/* if good */
} cases[] = {
	{ "nothing", { 0 }, 60, 0, true, { 0 } },
	{ "leftovers without meaning", { 0, 0, 99, 77, { .csum_start = 1 }, 5 }, 60, ALL, true, { 0 } },
	{ "flags of received packets", { 2 | 4 | 0xf8, 0, 0, 0, { { 0, 0 } }, 0 }, 60, ALL, true, { 0 } },
	{ "a checksum", { 1, 0, 0, 0, { { 34, 16 } }, 0 }, 60, CSUM, true,
	  { 1, 0, 0, 0, { { 34, 16 } }, 0 } },
	{ "a checksum, not negotiated", { 1, 0, 0, 0, { { 34, 16 } }, 0 }, 60, 0, false },
	{ "a checksum at the end", { 1, 0, 0, 0, { { 34, 24 } }, 0 }, 60, CSUM, true,
	  { 1, 0, 0, 0, { { 34, 24 } }, 0 } },
	{ "a checksum beyond the end", { 1, 0, 0, 0, { { 34, 25 } }, 0 }, 60, CSUM, false },
	{ "a start beyond the end", { 1, 0, 0, 0, { { 61, 0 } }, 0 }, 60, CSUM, false },
	{ "a start far beyond the end", { 1, 0, 0, 0, { { 65535, 65535 } }, 0 }, 60, CSUM, false },
	{ "a sum which wraps", { 1, 0, 0, 0, { { 65535, 3 } }, 0 }, 60, CSUM, false },
	{ "a start in the Ethernet header", { 1, 0, 0, 0, { { 13, 2 } }, 0 }, 60, CSUM, false },
	{ "TSO4", { 1, 1, 54, 1460, { { 34, 16 } }, 0 }, 9000, TSO4, true,
	  { 1, 1, 54, 1460, { { 34, 16 } }, 0 } },
	{ "TSO4 without checksum", { 0, 1, 54, 1460, { { 34, 16 } }, 0 }, 9000, TSO4, true,
	  { 0, 1, 54, 1460, { { 0, 0 } }, 0 } },
	{ "TSO4, not negotiated", { 1, 1, 54, 1460, { { 34, 16 } }, 0 }, 9000, TSO6 | UFO | USO, false },
	{ "TSO6", { 1, 4, 74, 1440, { { 54, 16 } }, 0 }, 9000, TSO6, true,
	  { 1, 4, 74, 1440, { { 54, 16 } }, 0 } },
	{ "TSO6, not negotiated", { 1, 4, 74, 1440, { { 54, 16 } }, 0 }, 9000, TSO4 | UFO | USO, false },
	{ "UFO", { 1, 3, 42, 1480, { { 34, 6 } }, 0 }, 9000, UFO, true,
	  { 1, 3, 42, 1480, { { 34, 6 } }, 0 } },
	{ "UFO, not negotiated", { 1, 3, 42, 1480, { { 34, 6 } }, 0 }, 9000, TSO4 | TSO6 | USO, false },
	{ "USO", { 1, 5, 42, 1472, { { 34, 6 } }, 0 }, 9000, USO, true,
	  { 1, 5, 42, 1472, { { 34, 6 } }, 0 } },
	{ "USO, not negotiated", { 1, 5, 42, 1472, { { 34, 6 } }, 0 }, 9000, TSO4 | TSO6 | UFO, false },
	{ "ECN", { 1, 0x81, 54, 1460, { { 34, 16 } }, 0 }, 9000, ECN, true,
	  { 1, 0x81, 54, 1460, { { 34, 16 } }, 0 } },
	{ "ECN, not negotiated", { 1, 0x81, 54, 1460, { { 34, 16 } }, 0 }, 9000, TSO4, false },
	{ "ECN of UDP", { 1, 0x83, 42, 1480, { { 34, 6 } }, 0 }, 9000, ALL, false },
	{ "ECN of nothing", { 1, 0x80, 54, 1460, { { 34, 16 } }, 0 }, 9000, ALL, false },
	{ "segments of nothing", { 1, 1, 54, 0, { { 34, 16 } }, 0 }, 9000, ALL, false },
	{ "an unknown type", { 1, 2, 54, 1460, { { 34, 16 } }, 0 }, 9000, ALL, false },
	{ "a tunnel", { 1, 0x21, 54, 1460, { { 34, 16 } }, 0 }, 9000, ALL, false },
	{ "a long header", { 1, 1, 60000, 1460, { { 34, 16 } }, 0 }, 100, TSO4, true,
	  { 1, 1, 100, 1460, { { 34, 16 } }, 0 } },
	{ "half a TCP header", { 1, 1, 54, 1460, { { 34, 16 } }, 0 }, 53, TSO4, false },
	{ "a whole TCP header", { 1, 1, 54, 1460, { { 34, 16 } }, 0 }, 54, TSO4, true,
	  { 1, 1, 54, 1460, { { 34, 16 } }, 0 } },
	{ "half a UDP header", { 1, 5, 42, 1460, { { 34, 6 } }, 0 }, 41, USO, false },
	{ "no packet", { 1, 0, 0, 0, { { 14, 0 } }, 0 }, 0, ALL, false },
};

/* proves: net.checksum-offsets, net.segments */
START_TEST(judged)
{
	struct virtio_net_hdr_v1 hdr = cases[_i].hdr;
	bool good;

	hdr.hdr_len = htole16(hdr.hdr_len);
	hdr.gso_size = htole16(hdr.gso_size);
	hdr.csum_start = htole16(hdr.csum_start);
	hdr.csum_offset = htole16(hdr.csum_offset);
	good = hdr_judge(&hdr, cases[_i].len, cases[_i].features);
	ck_assert_msg(good == cases[_i].good, "%s: %s", cases[_i].what, good ? "good" : "bad");
	if (!good)
		return;
	hdr.hdr_len = le16toh(hdr.hdr_len);
	hdr.gso_size = le16toh(hdr.gso_size);
	hdr.csum_start = le16toh(hdr.csum_start);
	hdr.csum_offset = le16toh(hdr.csum_offset);
	ck_assert_msg(!memcmp(&hdr, &cases[_i].after, sizeof(hdr)), "%s: changed", cases[_i].what);
}
END_TEST

/* proves: net.header-length */
START_TEST(lengths)
{
	ck_assert_uint_eq(hdr_len(0), 10);
	ck_assert_uint_eq(hdr_len(BIT(VIRTIO_NET_F_MRG_RXBUF)), 12);
	ck_assert_uint_eq(hdr_len(BIT(VIRTIO_F_VERSION_1)), 12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_hdr");
	TCase *tc = tcase_create("net_hdr");

	tcase_add_loop_test(tc, judged, 0, ARRAY_SIZE(cases));
	tcase_add_test(tc, lengths);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
