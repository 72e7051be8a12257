/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets which come in bursts, among them those that are too long for their buffer, too short or
 * lost: with a port which gives several at a time and with one which gives each by itself.
 */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "steps.h"
#include "tap.h"
#include "util.h"

/*
 * A port with a script
 */

#define SHORT	(STEPS_HDR - 1)

/* What comes one after the other: bytes with the header, or an error. */
static const ssize_t script[] = {
	72, 72, 1514, STEPS_BUFFER, 72,			/* one buffer each */
	STEPS_BUFFER + 1, 72, 72,			/* the spill, and then no burst for a while */
	5000, SHORT, 72, -EIO, 72, 65550, 72,
	/* Until usual ones are expected again. */
	72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
	72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
	72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
	72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
	72, 72, SHORT, 72, 72, -EIO, 72, 72, 4096, 72,
};

static struct {
	struct port port;
	struct port_ops ops;
	unsigned int next;		/* of the script */
	unsigned int bursts;		/* with more than one packet */
	unsigned int pieces;		/* elements which rx was given, at most */
} scripted;

/* Byte i of packet n. */
static uint8_t script_byte(unsigned int n, size_t i)
{
	return i < STEPS_HDR ? 0 : (uint8_t)(n * 13 + i * 7);
}

static ssize_t scripted_rx(struct port *port, unsigned int pair, const struct iovec *iov,
			   unsigned int cnt)
{
	const unsigned int n = scripted.next;
	size_t done = 0, i;

	(void)port, (void)pair;
	scripted.pieces = MAX(scripted.pieces, cnt);
	if (n == ARRAY_SIZE(script))
		return -EAGAIN;
	scripted.next++;
	if (script[n] < 0)
		return script[n];
	for (; cnt && done < (size_t)script[n]; cnt--, iov++) {
		for (i = 0; i < iov->iov_len && done < (size_t)script[n]; i++, done++)
			((uint8_t *)iov->iov_base)[i] = script_byte(n, done);
	}
	return (ssize_t)done;
}

static int scripted_rx_burst(struct port *port, unsigned int pair, struct port_burst *burst)
{
	const unsigned int room = burst->n;
	ssize_t len = STEPS_HDR;

	for (burst->n = 0; burst->n < room; burst->n++) {
		const struct iovec iov[] = { burst->bufs[burst->n], burst->spill };

		if (len < (ssize_t)STEPS_HDR || len > (ssize_t)burst->bufs[0].iov_len)
			break;
		len = scripted_rx(port, pair, iov, 2);
		if (len < 0)
			break;
		burst->lens[burst->n] = (size_t)len;
	}
	scripted.bursts += burst->n > 1;
	return len < 0 ? (int)len : 0;
}

static struct steps steps;

static void scripted_open(bool bursts, uint64_t features)
{
	const struct port_params params = { .pairs = 1 };
	char why[64];

	steps = (struct steps){ 0 };
	ck_assert(!port_null.open(&steps.port, &params, why, sizeof(why)));
	scripted.ops = port_null;
	scripted.ops.rx = scripted_rx;
	scripted.ops.rx_burst = bursts ? scripted_rx_burst : NULL;
	scripted.next = scripted.bursts = scripted.pieces = 0;
	steps.port->ops = &scripted.ops;
	steps_open(&steps, features, FE_RING_POLL);
}

/*
 * The driver
 */

/* Bytes of a buffer; what has come of packet n, bytes; its buffers still to come. */
static size_t room, got;
static unsigned int more;

/* The next packet of the script which reaches the driver. */
static unsigned int script_good(unsigned int n)
{
	while (n < ARRAY_SIZE(script) && script[n] < (ssize_t)STEPS_HDR)
		n++;
	return n;
}

static void check_buffer(unsigned int n, const uint8_t *buf, uint32_t len)
{
	struct virtio_net_hdr_v1 hdr;
	size_t i;

	memcpy(&hdr, buf, sizeof(hdr));
	for (i = got ? 0 : STEPS_HDR; i < len; i++)
		ck_assert_uint_eq(buf[i], script_byte(n, got + i));
	if (!more)
		more = le16toh(hdr.num_buffers);
	got += len;
	ck_assert_uint_gt(more, 0);
	if (!--more) {
		ck_assert_uint_eq(got, (size_t)script[n]);
		got = 0;
	}
}

/* Take all that has come, and give the buffers back; n is the packet which comes next. */
static unsigned int drive(unsigned int n)
{
	void *cookie;
	uint32_t len;

	while (fe_ring_get(&steps.ring[0], &cookie, &len) > 0) {
		const struct iovec iov = { cookie, room };

		n = got ? n : script_good(n);
		ck_assert_uint_lt(n, ARRAY_SIZE(script));
		check_buffer(n, cookie, len);
		n += !got;
		ck_assert_int_ge(fe_ring_add(&steps.ring[0], NULL, 0, &iov, 1, cookie), 0);
	}
	fe_ring_submit(&steps.ring[0]);
	return n;
}

/* In bursts or not, split or packed, in order or not, buffers one upon another or apart. */
START_TEST(all_come_as_they_are)
{
	struct virtio_net_stats stats;
	unsigned int n = 0, turns;

	got = more = 0;
	room = _i & 8 ? STEPS_BUFFER - 64 : STEPS_BUFFER;
	scripted_open(_i & 1, (_i & 2 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
			      (_i & 4 ? FE_BIT(VIRTIO_F_IN_ORDER) : 0));
	steps_add(&steps, 0, STEPS_RING, room);
	for (turns = 0; turns < 100 && n < ARRAY_SIZE(script); turns++) {
		stepped_run(&steps.s);
		n = drive(n);
	}
	ck_assert_uint_eq(n, ARRAY_SIZE(script));
	ck_assert(!got && !more);
	if (_i & 1)
		ck_assert_uint_gt(scripted.bursts, 1);
	/* The longest packet and the spill. */
	ck_assert_uint_eq(scripted.pieces, _i & 8 ? (65565 + room - 1) / room + 1 : 2);
	virtio_net_stats(steps.net, 0, &stats);
	ck_assert_uint_eq(stats.refused, 4);
	ck_assert_uint_eq(stats.packets, ARRAY_SIZE(script) - 4);
	ck_assert_uint_eq(stats.too_long, 0);
	steps_close(&steps);
}
END_TEST

/* The port for benchmarks itself, with packets longer than a buffer. */
START_TEST(long_ones_from_nowhere)
{
	const struct port_params params = { .pairs = 1, .packet_size = 5000 };
	const uint32_t lens[] = { STEPS_BUFFER, STEPS_BUFFER, STEPS_HDR + 5000 - 2 * STEPS_BUFFER };
	unsigned int n = 0;
	uint32_t len;
	void *cookie;
	char why[64];

	steps = (struct steps){ 0 };
	ck_assert(!port_null.open(&steps.port, &params, why, sizeof(why)));
	steps_open(&steps, _i ? FE_BIT(VIRTIO_F_RING_PACKED) : 0, FE_RING_POLL);
	steps_add(&steps, 0, STEPS_RING, STEPS_BUFFER);
	stepped_run(&steps.s);
	for (; fe_ring_get(&steps.ring[0], &cookie, &len) > 0; n++) {
		struct virtio_net_hdr_v1 hdr;

		memcpy(&hdr, cookie, sizeof(hdr));
		ck_assert_uint_eq(len, lens[n % 3]);
		if (n % 3 == 0)
			ck_assert_uint_eq(le16toh(hdr.num_buffers), 3);
	}
	ck_assert_uint_ge(n, STEPS_RING / 3 * 3 - 2);
	steps_close(&steps);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_burst");
	TCase *tc = tcase_create("net_burst");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, all_come_as_they_are, 0, 16);
	tcase_add_loop_test(tc, long_ones_from_nowhere, 0, 2);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
