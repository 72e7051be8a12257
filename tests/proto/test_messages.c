/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages which are refused: each with an error where one can be told, at the cost of the
 * connection otherwise, and never with a descriptor left behind (echo_stop() counts).
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

/* How a message has to look.  Its payload, if any, is zeroes, which is ring 0. */
struct shape {
	uint32_t request;
	uint32_t size;
	bool sized;			/* no other size is right */
	unsigned int fds_min, fds_max;
	bool replies;			/* has a reply of its own */
	int gate;			/* protocol feature, or -1 */
};

static const struct shape shapes[] = {
	{ VU_GET_FEATURES, 0, true, 0, 0, true, -1 },
	{ VU_SET_FEATURES, 8, true, 0, 0, false, -1 },
	{ VU_SET_OWNER, 0, true, 0, 0, false, -1 },
	{ VU_RESET_OWNER, 0, true, 0, 0, false, -1 },
	{ VU_SET_MEM_TABLE, 8, false, 0, 8, false, -1 },
	{ VU_SET_VRING_NUM, 8, true, 0, 0, false, -1 },
	{ VU_SET_VRING_ADDR, 40, true, 0, 0, false, -1 },
	{ VU_SET_VRING_BASE, 8, true, 0, 0, false, -1 },
	{ VU_GET_VRING_BASE, 8, true, 0, 0, true, -1 },
	{ VU_SET_VRING_KICK, 8, true, 1, 1, false, -1 },
	{ VU_SET_VRING_CALL, 8, true, 1, 1, false, -1 },
	{ VU_SET_VRING_ERR, 8, true, 1, 1, false, -1 },
	{ VU_GET_PROTOCOL_FEATURES, 0, true, 0, 0, true, -1 },
	{ VU_SET_PROTOCOL_FEATURES, 8, true, 0, 0, false, -1 },
	{ VU_GET_QUEUE_NUM, 0, true, 0, 0, true, VU_PROTOCOL_F_MQ },
	{ VU_SET_VRING_ENABLE, 8, true, 0, 0, false, -1 },
	{ VU_SET_BACKEND_REQ_FD, 0, true, 1, 1, false, VU_PROTOCOL_F_BACKEND_REQ },
	{ VU_SET_CONFIG, 13, false, 0, 0, false, VU_PROTOCOL_F_CONFIG },
	{ VU_RESET_DEVICE, 0, true, 0, 0, false, VU_PROTOCOL_F_RESET_DEVICE },
	{ VU_GET_MAX_MEM_SLOTS, 0, true, 0, 0, true, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	{ VU_ADD_MEM_REG, 40, true, 1, 1, false, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	{ VU_REM_MEM_REG, 40, true, 0, 1, false, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	{ VU_SET_STATUS, 8, true, 0, 0, false, VU_PROTOCOL_F_STATUS },
	{ VU_GET_STATUS, 0, true, 0, 0, true, VU_PROTOCOL_F_STATUS },
};

/* A message as it is sent. */
struct bad {
	uint32_t request;
	const void *payload;		/* NULL: zeroes */
	uint32_t size;
	unsigned int nfds;
	bool replies;
	bool split;			/* after features which make rings split ones */
};

static void send_bad(struct fe *fe, const struct bad *bad, bool need_reply)
{
	static const uint8_t zeroes[VU_PAYLOAD_MAX];
	const struct vu_header hdr = {
		bad->request, VU_VERSION | (need_reply ? VU_NEED_REPLY : 0), bad->size,
	};
	int fds[FE_FDS_MAX];
	unsigned int i;

	if (bad->split)
		ck_assert_int_eq(fe_set_features(fe, FE_BIT(VIRTIO_F_VERSION_1) |
						 FE_BIT(VU_F_PROTOCOL_FEATURES)), 0);
	for (i = 0; i < bad->nfds; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(fds[i], 0);
	}
	ck_assert_int_eq(fe_send_raw(fe, &hdr, bad->payload ? bad->payload : zeroes, bad->size,
				     fds, bad->nfds), 0);
	for (i = 0; i < bad->nfds; i++)
		close(fds[i]);
}

/* Without NEED_REPLY, and for a message with another reply, only the end can tell. */
static void check_costs_connection(uint64_t protocol, const struct bad *bad, bool need_reply)
{
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), protocol), 0);
	send_bad(&e.fe, bad, need_reply);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_wait(&e.downs, 1);
	echo_stop(&e);
}

static void check_costs_nothing(uint64_t protocol, const struct bad *bad)
{
	struct fe_msg reply;
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), protocol), 0);
	send_bad(&e.fe, bad, true);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.hdr.request, bad->request);
	ck_assert_uint_eq(reply.hdr.flags, VU_VERSION | VU_REPLY);
	ck_assert_uint_eq(reply.hdr.size, 8);
	ck_assert_uint_ne(reply.u.u64, 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
}

static void check_refused(uint64_t protocol, const struct bad *bad)
{
	check_costs_connection(protocol, bad, false);
	if (bad->replies)
		check_costs_connection(protocol, bad, true);
	else
		check_costs_nothing(protocol, bad);
}

#define ALL ~UINT64_C(0)

/* proves: msg.size, msg.process */
START_TEST(wrong_size)
{
	const struct shape *s = &shapes[_i];
	const uint32_t sizes[] = { s->size + 1, s->size + 8, VU_PAYLOAD_MAX, s->size - 1, 0 };
	size_t i, n = s->size ? ARRAY_SIZE(sizes) : 3;

	for (i = s->sized ? 0 : 2; i < n; i++) {
		check_refused(ALL, &(struct bad){ s->request, .size = sizes[i], .nfds = s->fds_min,
						  .replies = s->replies });
	}
}
END_TEST

/* proves: msg.fds, msg.fds-truncated */
START_TEST(wrong_fds)
{
	const struct shape *s = &shapes[_i];

	if (s->fds_max < 8)
		check_refused(ALL, &(struct bad){ s->request, .size = s->size,
						  .nfds = s->fds_max + 1, .replies = s->replies });
	if (s->fds_min)
		check_refused(ALL, &(struct bad){ s->request, .size = s->size,
						  .replies = s->replies });
	/* More than any message may have, up to what one sendmsg() of ours carries. */
	check_costs_connection(ALL, &(struct bad){ s->request, .size = s->size, .nfds = 9 }, false);
	check_costs_connection(ALL, &(struct bad){ s->request, .size = s->size, .nfds = 32 }, true);
}
END_TEST

/* proves: msg.gate */
START_TEST(closed_gate)
{
	const struct shape *s = &shapes[_i];

	if (s->gate < 0)
		return;
	check_refused(ALL & ~FE_BIT(s->gate), &(struct bad){ s->request, .size = s->size,
							     .nfds = s->fds_min,
							     .replies = s->replies });
}
END_TEST

/* proves: msg.index */
START_TEST(wrong_index)
{
	static const uint32_t requests[] = { VU_SET_VRING_NUM, VU_SET_VRING_BASE, VU_GET_VRING_BASE,
					     VU_SET_VRING_ENABLE };
	static const uint32_t indices[] = { ECHO_QUEUES, 256, 0x10000, 0x80000000, UINT32_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(indices); i++) {
		const struct vu_vring_state state = { indices[i], 1 };
		const struct vu_vring_addr addr = { .index = indices[i] };

		check_refused(ALL, &(struct bad){ requests[_i], &state, sizeof(state),
						  .replies = requests[_i] == VU_GET_VRING_BASE });
		check_refused(ALL, &(struct bad){ VU_SET_VRING_ADDR, &addr, sizeof(addr) });
	}
}
END_TEST

/* proves: msg.index */
START_TEST(wrong_index_with_fd)
{
	static const uint64_t values[] = { ECHO_QUEUES, 0xff, 0x200, 0x1000, UINT64_C(1) << 32,
					   UINT64_MAX & ~(uint64_t)VU_VRING_NOFD };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		check_refused(ALL, &(struct bad){ (uint32_t)_i, &values[i], 8, .nfds = 1 });
}
END_TEST

/* proves: msg.nofd */
START_TEST(nofd_bit_contradicts_fds)
{
	static const uint64_t nofd = VU_VRING_NOFD, fd = 0;

	check_refused(ALL, &(struct bad){ (uint32_t)_i, &nofd, 8, .nfds = 1 });
	check_refused(ALL, &(struct bad){ (uint32_t)_i, &fd, 8, .nfds = 0 });
}
END_TEST

/* proves: msg.unknown, reply.flags */
START_TEST(unknown_request)
{
	static const uint32_t ids[] = { 0, VU_REQUEST_END, 255, 256, 0x10001, UINT32_MAX };

	check_refused(ALL, &(struct bad){ ids[_i] });
	check_refused(ALL, &(struct bad){ ids[_i], .size = VU_PAYLOAD_MAX, .nfds = 8 });
}
END_TEST

/* proves: msg.header */
START_TEST(wrong_header)
{
	static const struct vu_header headers[] = {
		{ VU_GET_FEATURES, 0, 0 },			/* no version */
		{ VU_GET_FEATURES, 2, 0 },			/* another version */
		{ VU_GET_FEATURES, VU_VERSION | VU_REPLY, 0 },
		{ VU_GET_FEATURES, VU_VERSION | 0x10, 0 },
		{ VU_GET_FEATURES, VU_VERSION | 0x80000000, 0 },
		{ VU_SET_FEATURES, VU_VERSION, VU_PAYLOAD_MAX + 1 },
		{ VU_SET_FEATURES, VU_VERSION | VU_NEED_REPLY, UINT32_MAX },
	};
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_send_raw(&e.fe, &headers[_i], NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_stop(&e);
}
END_TEST

/* proves: msg.fds-first-byte */
START_TEST(fds_behind_the_first_byte)
{
	const struct { struct vu_header h; uint64_t u64; } __attribute__((packed)) whole = {
		{ VU_SET_VRING_CALL, VU_VERSION, 8 }, 0,
	};
	const uint8_t *bytes = (const uint8_t *)&whole;
	int fd;
	struct echo e;

	echo_start(&e, 0, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fe_send_bytes(&e.fe, bytes, (size_t)_i, NULL, 0), 0);
	ck_assert_int_eq(fe_send_bytes(&e.fe, bytes + _i, sizeof(whole) - (size_t)_i, &fd, 1), 0);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: msg.pieces */
START_TEST(message_in_pieces)
{
	const struct { struct vu_header h; uint64_t u64; } __attribute__((packed)) whole = {
		{ VU_SET_VRING_CALL, VU_VERSION | VU_NEED_REPLY, 8 }, 1,
	};
	const uint8_t *bytes = (const uint8_t *)&whole;
	int fd;
	struct fe_msg reply;
	struct echo e;
	size_t i;

	echo_start(&e, 0, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	for (i = 0; i < sizeof(whole); i++)
		ck_assert_int_eq(fe_send_bytes(&e.fe, bytes + i, 1, &fd, !i), 0);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.u64, 0);
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: msg.end-within */
START_TEST(end_within_a_message)
{
	const struct { struct vu_header h; uint64_t u64; } __attribute__((packed)) whole = {
		{ VU_SET_VRING_CALL, VU_VERSION, 8 }, 0,
	};
	int fd;
	struct echo e;

	echo_start(&e, 0, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fe_send_bytes(&e.fe, &whole, (size_t)_i, &fd, 1), 0);
	close(fd);
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	echo_stop(&e);
}
END_TEST

/* proves: reply.ack-when-asked, PROTOCOL_F_REPLY_ACK */
START_TEST(reply_asked_for_without_reply_ack)
{
	struct echo e;

	/* QEMU sets NEED_REPLY in a few messages whatever was negotiated: whoever asks is waiting. */
	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL & ~FE_BIT(VU_PROTOCOL_F_REPLY_ACK)), 0);
	echo_stop(&e);
	check_costs_nothing(ALL & ~FE_BIT(VU_PROTOCOL_F_REPLY_ACK), &(struct bad){ 0 });
}
END_TEST

/* Values which are wrong by themselves, where shape and index are right. */
#define STATE(n) &(const struct vu_vring_state){ 0, n }, 8
static const struct bad wrong_values[] = {
	{ VU_SET_VRING_NUM, STATE(0) },
	{ VU_SET_VRING_NUM, STATE(3), .split = true },
	{ VU_SET_VRING_NUM, STATE(32769) },
	{ VU_SET_VRING_NUM, STATE(65536) },
	{ VU_SET_VRING_NUM, STATE(0x80000000) },
	{ VU_SET_VRING_BASE, STATE(0x10000), .split = true },
	{ VU_SET_VRING_BASE, STATE(UINT32_MAX), .split = true },
	{ VU_SET_VRING_ENABLE, STATE(2) },
	{ VU_SET_VRING_ENABLE, STATE(UINT32_MAX) },
	{ VU_SET_VRING_ADDR, &(const struct vu_vring_addr){ .flags = 2 }, 40 },
	{ VU_SET_VRING_ADDR, &(const struct vu_vring_addr){ .desc = 8 }, 40 },
	{ VU_SET_VRING_ADDR, &(const struct vu_vring_addr){ .avail = 1 }, 40 },
	{ VU_SET_VRING_ADDR, &(const struct vu_vring_addr){ .used = 2 }, 40 },
	{ VU_SET_VRING_KICK, NULL, 8, .nfds = 1 },	/* no size, no addresses yet */
	{ VU_SET_STATUS, &(const uint64_t){ 256 }, 8 },
	{ VU_SET_PROTOCOL_FEATURES, &(const uint64_t){ BIT(63) }, 8 },
	{ VU_SET_PROTOCOL_FEATURES, &(const uint64_t){ BIT(VU_PROTOCOL_F_XEN_MMAP) }, 8 },
	/* feature bits which change what the rings look like, not offered */
	{ VU_SET_FEATURES, &(const uint64_t){ BIT(33) }, 8 },
	{ VU_SET_FEATURES, &(const uint64_t){ BIT(35) }, 8 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 0, 0, 0 }, 12 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 0, 4, 0 }, 15 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 0, 4, 2 }, 16 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 4, 1, 0 }, 13 },	/* read-only */
	{ VU_SET_CONFIG, &(const struct vu_config){ ECHO_CONFIG, 1, 0 }, 13 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 0, ECHO_CONFIG + 1, 0 }, 12 + ECHO_CONFIG + 1 },
	{ VU_SET_CONFIG, &(const struct vu_config){ UINT32_MAX, 2, 0 }, 14 },
	{ VU_SET_CONFIG, &(const struct vu_config){ 0, UINT32_MAX, 0 }, 13 },
};

/*
 * proves: reply.honest, ring.size-invalid, ring.enable-num, ring.addr-valid, config.read-only,
 * config.range-valid, features.unoffered, features.protocol-unoffered, SET_STATUS,
 * PROTOCOL_F_XEN_MMAP
 */
START_TEST(wrong_value)
{
	check_refused(ALL, &wrong_values[_i]);
}
END_TEST

/* proves: reply.own-error, config.range-valid */
START_TEST(wrong_get_config)
{
	static const struct vu_config ranges[] = {
		{ 0, 257, 0 }, { 257, 0, 0 }, { 256, 1, 0 }, { 1, 256, 0 },
		{ UINT32_MAX, 1, 0 }, { 0, UINT32_MAX, 0 }, { 0, 4, 1 },
	};
	struct fe_msg reply;
	struct echo e;
	size_t i;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL), 0);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint32_t size = VU_CONFIG_HEADER + MIN(ranges[i].size, 256u);

		ck_assert_int_eq(fe_query(&e.fe, VU_GET_CONFIG, &ranges[i], size, NULL, 0, &reply),
				 0);
		ck_assert_uint_eq(reply.hdr.size, 0);
	}
	echo_stop(&e);
}
END_TEST

int main(void)
{
	const int kick = VU_SET_VRING_KICK, err = VU_SET_VRING_ERR + 1;
	Suite *suite = suite_create("messages");
	TCase *tc = tcase_create("refused");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, wrong_size, 0, ARRAY_SIZE(shapes));
	tcase_add_loop_test(tc, wrong_fds, 0, ARRAY_SIZE(shapes));
	tcase_add_loop_test(tc, closed_gate, 0, ARRAY_SIZE(shapes));
	tcase_add_loop_test(tc, wrong_index, 0, 4);
	tcase_add_loop_test(tc, wrong_index_with_fd, kick, err);
	tcase_add_loop_test(tc, nofd_bit_contradicts_fds, kick, err);
	tcase_add_loop_test(tc, unknown_request, 0, 6);
	tcase_add_loop_test(tc, wrong_header, 0, 7);
	/* The kernel joins what lies within one read, and a header is one read. */
	tcase_add_loop_test(tc, fds_behind_the_first_byte, 12, 20);
	tcase_add_test(tc, message_in_pieces);
	tcase_add_loop_test(tc, end_within_a_message, 1, 20);
	tcase_add_test(tc, reply_asked_for_without_reply_ack);
	tcase_add_loop_test(tc, wrong_value, 0, ARRAY_SIZE(wrong_values));
	tcase_add_test(tc, wrong_get_config);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
