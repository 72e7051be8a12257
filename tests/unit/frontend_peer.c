/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer of tests of the front-end library. */
#include "config.h"

#include "frontend_peer.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

struct fe fe, be;
static int fds_before;

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void peer_setup(void)
{
	int other;

	fds_before = count_fds();
	ck_assert_int_eq(fe_pair(&fe, &other), 0);
	fe_attach(&be, other);
	fe.timeout_ms = be.timeout_ms = SHORT_MS;
}

void peer_teardown(void)
{
	fe_close(&fe);
	fe_close(&be);
	ck_assert_int_eq(count_fds(), fds_before);
}

void answer(uint32_t request, uint32_t flags, const void *payload, uint32_t size)
{
	const struct vu_header hdr = { .request = request, .flags = flags, .size = size };

	ck_assert_int_eq(fe_send_raw(&be, &hdr, payload, size, NULL, 0), 0);
}

void answer_fds(uint32_t request, const void *payload, uint32_t size, const int *fds,
		unsigned int nfds)
{
	const struct vu_header hdr = { .request = request, .flags = 0x5, .size = size };

	ck_assert_int_eq(fe_send_raw(&be, &hdr, payload, size, fds, nfds), 0);
}

void answer_u64(uint32_t request, uint64_t value)
{
	answer(request, 0x5, &value, sizeof(value));
}

const struct fe_msg *asked(uint32_t request, uint32_t flags, uint32_t size, unsigned int nfds)
{
	static struct fe_msg msg;

	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	ck_assert_uint_eq(msg.nfds, nfds);
	fe_msg_close(&msg);
	memset(msg.u.bytes + msg.hdr.size, 0, sizeof(msg.u) - msg.hdr.size);
	ck_assert_uint_eq(msg.hdr.request, request);
	ck_assert_uint_eq(msg.hdr.flags, flags);
	ck_assert_uint_eq(msg.hdr.size, size);
	return &msg;
}

void asked_nothing(void)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_recv_raw(&be, &msg), -ETIMEDOUT);
}

void asked_words(uint32_t request, unsigned int num, const uint32_t *words)
{
	const struct fe_msg *msg = asked(request, 0x1, num * 4, 0);

	ck_assert_mem_eq(msg->u.bytes, words, num * 4);
}
