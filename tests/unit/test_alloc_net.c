/* SPDX-License-Identifier: BSD-3-Clause */
/* No allocation for a packet of vhost-user-net in steady state, in either direction. */
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/socket.h>

#include "count_alloc.h"
#include "nic.h"
#include "tap.h"
#include "util.h"

#define DEPTH 64u

static struct nic nic;

static bool get(struct fe_ring *ring, unsigned int n)
{
	void *cookie;
	uint32_t len;

	for (; n; n--) {
		if (fe_ring_wait(ring, FE_TIMEOUT_MS) || fe_ring_get(ring, &cookie, &len) != 1)
			return false;
	}
	return true;
}

/* In pieces, so that none of them is what the port gets. */
static bool send_some(uint8_t *mem)
{
	struct iovec out[3] = { { mem, 20 }, { mem + 20, 300 }, { mem + 320, 1180 } };
	static uint8_t buf[2000];
	struct pollfd pfd = { .fd = nic.wires[0], .events = POLLIN };
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		if (fe_ring_add(&nic.ring[1], out, 3, NULL, 0, mem) < 0)
			return false;
	}
	fe_ring_submit(&nic.ring[1]);
	for (i = 0; i < DEPTH; i++) {
		if (poll(&pfd, 1, FE_TIMEOUT_MS) != 1 ||
		    recv(nic.wires[0], buf, sizeof(buf), 0) != 1500)
			return false;
	}
	return get(&nic.ring[1], DEPTH);
}

/* Small ones, and one which is longer than what was expected. */
static bool receive_some(uint8_t *mem)
{
	static uint8_t buf[9000];
	unsigned int i, n = 0;

	for (i = 0; i < 128; i++) {
		struct iovec in = { mem + i * 2048, 2048 };

		if (fe_ring_add(&nic.ring[0], NULL, 0, &in, 1, mem) < 0)
			return false;
	}
	fe_ring_submit(&nic.ring[0]);
	for (i = 0; n < 128; i++) {
		size_t len = i % 8 == 7 && n <= 120 ? sizeof(buf) : 200;

		if (send(nic.wires[0], buf, len, MSG_NOSIGNAL) != (ssize_t)len)
			return false;
		if (!get(&nic.ring[0], (unsigned int)(len + 2047) / 2048))
			return false;
		n += (unsigned int)(len + 2047) / 2048;
	}
	return true;
}

START_TEST(steady_state)
{
	const struct nic_params params = { .features = BIT(VIRTIO_NET_F_MRG_RXBUF) };
	uint8_t *mem;
	unsigned int i, n;
	bool ok = true;

	nic_up(&nic, &params);
	mem = fe_mem_alloc(&nic.mem, 128 * 2048, 4096);
	for (i = 0; i < 10; i++)
		ck_assert(send_some(mem) && receive_some(mem));
	ck_assert_uint_gt(count_allocations(), 0);
	n = count_allocations();
	for (i = 0; ok && i < 10; i++)
		ok = send_some(mem) && receive_some(mem);
	n = count_allocations() - n;
	ck_assert(ok);
	ck_assert_uint_eq(n, 0);
	nic_down(&nic);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alloc_net");
	TCase *tc = tcase_create("alloc_net");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, steady_state);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
