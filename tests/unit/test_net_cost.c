/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What packets cost, as far as it can be counted: calls of the port, signals, looks while
 * polling.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "frontend/deadline.h"
#include "nic.h"
#include "steps.h"
#include "tap.h"
#include "util.h"

/*
 * A port which counts, and on which packets wait
 */

static struct counter {
	struct port port;
	struct port_ops ops;
	int fd;				/* readable while packets wait */
	unsigned int waiting;		/* packets, of 60 bytes */
	unsigned int rx, tx;		/* calls */
	unsigned int pieces;		/* of all packets sent */
	size_t bytes;			/* likewise, with headers */
	struct virtio_net_hdr_v1 hdr;	/* of the last one */
	unsigned int signals;		/* of the driver, as seen by the port's calls */
	struct steps *steps;
} counter;

static ssize_t counter_rx(struct port *port, unsigned int pair, const struct iovec *iov,
			  unsigned int cnt)
{
	eventfd_t ignored;

	(void)port, (void)pair, (void)cnt;
	counter.rx++;
	if (!counter.waiting)
		return -EAGAIN;
	if (!--counter.waiting)
		eventfd_read(counter.fd, &ignored);
	memset(iov[0].iov_base, 0, STEPS_HDR + 60);
	return STEPS_HDR + 60;
}

static int counter_tx(struct port *port, unsigned int pair, const struct iovec *iov,
		      unsigned int cnt)
{
	unsigned int i;

	(void)port, (void)pair;
	counter.tx++;
	counter.pieces += cnt;
	memcpy(&counter.hdr, iov[0].iov_base, sizeof(counter.hdr));
	for (i = 0; i < cnt; i++)
		counter.bytes += iov[i].iov_len;
	counter.signals += fe_ring_signalled(&counter.steps->ring[1]);
	return 0;
}

static int counter_fd(const struct port *port, unsigned int pair)
{
	(void)port, (void)pair;
	return counter.fd;
}

static int counter_set_features(struct port *port, uint64_t features)
{
	(void)port, (void)features;
	return 0;
}

static void counter_close(struct port *port)
{
	(void)port;
	close_fd(&counter.fd);
}

static struct steps steps;

static void counter_open(uint64_t features, size_t whole)
{
	steps = (struct steps){ .port = &counter.port };
	counter = (struct counter){ .ops = port_null, .steps = &steps };
	counter.ops.rx = counter_rx;
	counter.ops.tx = counter_tx;
	counter.ops.fd = counter_fd;
	counter.ops.set_features = counter_set_features;
	counter.ops.close = counter_close;
	counter.ops.tx_whole = whole;
	counter.port = (struct port){ .ops = &counter.ops, .pairs = 1 };
	counter.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(counter.fd, 0);
	steps_open(&steps, features, 0);
	/* A new call fd may be signalled for what was published before it came. */
	fe_ring_signalled(&steps.ring[0]);
	fe_ring_signalled(&steps.ring[1]);
}

static const uint64_t formats[] = { 0, BIT(VIRTIO_F_RING_PACKED) };

/*
 * Sending
 */

START_TEST(one_call_for_each_packet_sent)
{
	counter_open(formats[_i], 0);
	steps_add(&steps, 1, 200, STEPS_HDR + 100);
	stepped_run(&steps.s);
	ck_assert_uint_eq(counter.tx, 200);
	ck_assert_uint_eq(steps_get(&steps, 1, 0), 200);
	/* One for all, when the last of them was sent. */
	ck_assert_uint_eq(counter.signals, 0);
	ck_assert(fe_ring_signalled(&steps.ring[1]));
	ck_assert_uint_eq(steps.ring[1].stats.kicks, 1);
	steps_close(&steps);
}
END_TEST

/* Those which are published are there for a driver which looks, before anybody is signalled. */
static unsigned int seen_at;

static int counter_tx_look(struct port *port, unsigned int pair, const struct iovec *iov,
			   unsigned int cnt)
{
	if (!seen_at && fe_ring_ready(&steps.ring[1]))
		seen_at = counter.tx;
	return counter_tx(port, pair, iov, cnt);
}

START_TEST(long_batches_are_published_early)
{
	counter_open(formats[_i], 0);
	counter.ops.tx = counter_tx_look;
	seen_at = 0;
	steps_add(&steps, 1, 200, STEPS_HDR + 100);
	stepped_run(&steps.s);
	ck_assert_uint_eq(seen_at, 8);
	ck_assert_uint_eq(steps_get(&steps, 1, 0), 200);
	steps_close(&steps);
}
END_TEST

static const struct {
	size_t len;			/* of header and packet */
	unsigned int pieces;
} shapes[] = { { STEPS_HDR + 60, 1 }, { 500, 1 }, { 501, 2 }, { STEPS_BUFFER, 2 } };

/* What the guest writes after the kick does not matter: what is sent has been judged. */
START_TEST(short_packets_are_one_piece)
{
	struct virtio_net_hdr_v1 hdr = { .flags = VIRTIO_NET_HDR_F_DATA_VALID, .hdr_len = 77 };
	unsigned int i;

	counter_open(0, 500);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		counter.pieces = 0;
		counter.bytes = 0;
		memcpy(steps.buffers, &hdr, sizeof(hdr));
		steps_add(&steps, 1, 1, shapes[i].len);
		stepped_run(&steps.s);
		ck_assert_uint_eq(steps_get(&steps, 1, 0), 1);
		ck_assert_uint_eq(counter.pieces, shapes[i].pieces);
		ck_assert_uint_eq(counter.bytes, shapes[i].len);
		ck_assert_uint_eq(counter.hdr.flags, 0);
		ck_assert_uint_eq(counter.hdr.hdr_len, 0);
	}
	steps_close(&steps);
}
END_TEST

/*
 * Receiving
 */

/* One call for each, and one which finds that there are no more. */
START_TEST(one_call_for_each_packet_received)
{
	counter_open(formats[_i], 0);
	steps_add(&steps, 0, STEPS_RING, STEPS_BUFFER);
	stepped_run(&steps.s);
	ck_assert_uint_eq(counter.rx, 1);
	counter.rx = 0;
	counter.waiting = 200;
	eventfd_write(counter.fd, 1);
	stepped_run(&steps.s);
	ck_assert_uint_eq(counter.rx, 201);
	ck_assert_uint_eq(steps_get(&steps, 0, STEPS_HDR + 60), 200);
	ck_assert(fe_ring_signalled(&steps.ring[0]));
	/* Nothing is to be done now, so nothing is. */
	stepped_run(&steps.s);
	ck_assert_uint_eq(counter.rx, 201);
	ck_assert(!fe_ring_signalled(&steps.ring[0]));
	steps_close(&steps);
}
END_TEST

/*
 * Polling
 */

#define LOOKS	10u			/* at the port, more than a packet and a kick are worth */
#define PATIENCE_S	50

static void set_poll(void *worker)
{
	vhost_worker_set_poll(worker, 200000);
}

/* Whether the port is called so often beside what there is to do, within 20 ms. */
static bool port_is_polled(unsigned int calls)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int ms;

	for (ms = 0; ms < 20; ms++) {
		if (atomic_load(&nic_rx_calls) >= calls + LOOKS)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/*
 * While the worker polls it looks at the port by itself, without being told of a packet; but only
 * as long as the driver has a buffer for one, so there are two.  Whether it polls is its own choice,
 * so packets keep coming until it did.
 */
START_TEST(polling_looks_at_the_port)
{
	static struct nic nic;
	const struct nic_params params = { .workers = 1 };
	int64_t deadline = fe_deadline(PATIENCE_S * 1000);
	struct iovec in = { .iov_len = 2000 };
	unsigned int calls;
	void *used;

	nic_up(&nic, &params);
	vhost_worker_call(nic.workers[0], set_poll, nic.workers[0]);
	nic_add_buffer(&nic, 0, in.iov_len, 1);
	nic_add_buffer(&nic, 0, in.iov_len, 1);
	fe_ring_submit(&nic.ring[0]);
	do {
		ck_assert_msg(fe_deadline_left(deadline), "the worker never polls the port");
		nic_send(&nic, 0, 100, 0);
		nic_get(&nic, 0, &used);
		in.iov_base = used;
		ck_assert_int_ge(fe_ring_add(&nic.ring[0], NULL, 0, &in, 1, used), 0);
		fe_ring_submit(&nic.ring[0]);
		calls = atomic_load(&nic_rx_calls);
	} while (!port_is_polled(calls));
	nic_down(&nic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_cost");
	TCase *tc = tcase_create("net_cost");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, one_call_for_each_packet_sent, 0, ARRAY_SIZE(formats));
	tcase_add_loop_test(tc, long_batches_are_published_early, 0, ARRAY_SIZE(formats));
	tcase_add_test(tc, short_packets_are_one_piece);
	tcase_add_loop_test(tc, one_call_for_each_packet_received, 0, ARRAY_SIZE(formats));
	tcase_add_test(tc, polling_looks_at_the_port);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
