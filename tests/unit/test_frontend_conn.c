/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library: messages and their answers, over a socketpair. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend_peer.h"
#include "tap.h"

#define PAGE		4096u
#define F_PROTOCOL	FE_BIT(VU_F_PROTOCOL_FEATURES)
#define P(bit)		FE_BIT(VU_PROTOCOL_F_##bit)

START_TEST(plain_messages)
{
	struct vu_vring_addr addr = {
		.index = 1, .flags = 2, .desc = 3, .used = 4, .avail = 5, .log = 6,
	};

	ck_assert_int_eq(fe_set_features(&fe, 0x100000002), 0);
	ASKED(2, 2, 1);
	ck_assert_uint_eq(fe.features, 0x100000002);
	ck_assert_int_eq(fe_set_owner(&fe), 0);
	asked(3, 0x1, 0, 0);
	ck_assert_int_eq(fe_reset_owner(&fe), 0);
	asked(4, 0x1, 0, 0);
	ck_assert_int_eq(fe_set_vring_num(&fe, 7, 256), 0);
	ASKED(8, 7, 256);
	ck_assert_int_eq(fe_set_vring_addr(&fe, &addr), 0);
	ASKED(9, 1, 2, 3, 0, 4, 0, 5, 0, 6, 0);
	ck_assert_int_eq(fe_set_vring_base(&fe, 7, 0x80000001), 0);
	ASKED(10, 7, 0x80000001);
	ck_assert_int_eq(fe_set_protocol_features(&fe, P(MQ)), 0);
	ASKED(16, 1, 0);
	ck_assert_uint_eq(fe.protocol_features, 1);
	ck_assert_int_eq(fe_set_vring_enable(&fe, 7, true), 0);
	ASKED(18, 7, 1);
	ck_assert_int_eq(fe_set_config(&fe, 32, "\1\2\3\4", 4, VU_CONFIG_MIGRATION), 0);
	ASKED(25, 32, 4, 1, 0x04030201);
	ck_assert_int_eq(fe_reset_device(&fe), 0);
	asked(34, 0x1, 0, 0);
	ck_assert_int_eq(fe_set_status(&fe, 0x0f), 0);
	ASKED(39, 15, 0);
	asked_nothing();
}
END_TEST

/* With an fd, and told that there is none. */
START_TEST(vring_fds)
{
	static int (*const set[])(struct fe *, unsigned int, int) = {
		fe_set_vring_kick, fe_set_vring_call, fe_set_vring_err,
	};
	const struct fe_msg *msg;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(set[i](&fe, 5, be.fd), 0);
		msg = asked(12 + i, 0x1, 8, 1);
		ck_assert_uint_eq(msg->u.u64, 5);
		ck_assert_int_eq(set[i](&fe, 5, -1), 0);
		msg = asked(12 + i, 0x1, 8, 0);
		ck_assert_uint_eq(msg->u.u64, 0x105);
	}
}
END_TEST

static void make_mem(struct fe_mem *mem)
{
	const struct fe_region_params low = { .gpa = 0x1000, .size = PAGE, .uva = 0x10000 };
	const struct fe_region_params high = {
		.gpa = 0x9000, .size = 2 * PAGE, .uva = 0x20000, .offset = PAGE,
	};

	*mem = (struct fe_mem){ 0 };
	ck_assert_int_eq(fe_mem_add(mem, &low), 0);
	ck_assert_int_eq(fe_mem_add(mem, &high), 1);
}

START_TEST(memory_messages)
{
	const uint32_t table[] = {
		2, 0,
		0x1000, 0, 0x1000, 0, 0x10000, 0, 0, 0,
		0x9000, 0, 0x2000, 0, 0x20000, 0, 0x1000, 0,
	};
	const struct fe_msg *msg;
	struct fe_mem mem;

	make_mem(&mem);
	ck_assert_int_eq(fe_set_mem_table(&fe, &mem), 0);
	msg = asked(5, 0x1, 72, 2);
	ck_assert_mem_eq(msg->u.bytes, table, sizeof(table));
	ck_assert_int_eq(fe_add_mem_reg(&fe, &mem.regions[1]), 0);
	ck_assert_uint_eq(fe.mem_regs, 1);
	msg = asked(37, 0x1, 40, 1);
	ck_assert_uint_eq(msg->u.u64, 0);
	ck_assert_mem_eq(msg->u.bytes + 8, table + 10, 32);
	ck_assert_int_eq(fe_rem_mem_reg(&fe, &mem.regions[1]), 0);
	ck_assert_uint_eq(fe.mem_regs, 0);
	msg = asked(38, 0x1, 40, 0);
	ck_assert_mem_eq(msg->u.bytes + 8, table + 10, 32);
	while (mem.num <= VU_FDS_MAX)
		fe_mem_add(&mem, &(struct fe_region_params){ .size = PAGE });
	ck_assert_int_eq(fe_set_mem_table(&fe, &mem), -EINVAL);
	asked_nothing();
	fe_mem_free(&mem);
}
END_TEST

START_TEST(queries)
{
	const struct vu_vring_state state = { .index = 3, .num = 0x12345 };
	uint64_t value;
	uint32_t base;
	uint8_t status;

	answer_u64(1, 0x100000002);
	ck_assert_int_eq(fe_get_features(&fe, &value), 0);
	asked(1, 0x1, 0, 0);
	ck_assert_uint_eq(value, 0x100000002);
	answer_u64(15, 0x33);
	ck_assert_int_eq(fe_get_protocol_features(&fe, &value), 0);
	asked(15, 0x1, 0, 0);
	ck_assert_uint_eq(value, 0x33);
	answer_u64(17, 4);
	ck_assert_int_eq(fe_get_queue_num(&fe, &value), 0);
	asked(17, 0x1, 0, 0);
	ck_assert_uint_eq(value, 4);
	answer_u64(36, 509);
	ck_assert_int_eq(fe_get_max_mem_slots(&fe, &value), 0);
	asked(36, 0x1, 0, 0);
	ck_assert_uint_eq(value, 509);
	answer_u64(40, 0x4f);
	ck_assert_int_eq(fe_get_status(&fe, &status), 0);
	asked(40, 0x1, 0, 0);
	ck_assert_uint_eq(status, 0x4f);
	answer(11, 0x5, &state, sizeof(state));
	ck_assert_int_eq(fe_get_vring_base(&fe, 3, &base), 0);
	ASKED(11, 3, 0);
	ck_assert_uint_eq(base, 0x12345);
	answer(11, 0x5, &state, sizeof(state));
	ck_assert_int_eq(fe_get_vring_base(&fe, 4, &base), -EPROTO);
}
END_TEST

START_TEST(config)
{
	struct vu_config reply = { .offset = 8, .size = 3, .region = { 'a', 'b', 'c' } };
	char buf[4] = "xyz";

	answer(24, 0x5, &reply, 15);
	ck_assert_int_eq(fe_get_config(&fe, 8, buf, 3), 0);
	ck_assert_str_eq(buf, "abc");
	ck_assert_uint_eq(asked(24, 0x1, 15, 0)->u.config.size, 3);
	answer(24, 0x5, &reply, 0);
	ck_assert_int_eq(fe_get_config(&fe, 8, buf, 3), -EIO);
	answer(24, 0x5, &reply, 14);
	ck_assert_int_eq(fe_get_config(&fe, 8, buf, 3), -EPROTO);
	answer(24, 0x5, &reply, 15);
	ck_assert_int_eq(fe_get_config(&fe, 9, buf, 3), -EPROTO);
	ck_assert_int_eq(fe_get_config(&fe, 0, buf, VU_CONFIG_MAX + 1), -EINVAL);
	ck_assert_int_eq(fe_set_config(&fe, 0, buf, VU_CONFIG_MAX + 1, 0), -EINVAL);
}
END_TEST

/* An answer to SET_VRING_NUM with an ack asked for, and what the caller is told. */
static const struct {
	uint32_t request, flags, size;
	uint64_t value;
	int err;
} acks[] = {
	{ 8, 0x5, 8, 0, 0 },
	{ 8, 0x5, 8, 1, -EIO },
	{ 8, 0x5, 8, UINT64_C(1) << 32, -EIO },
	{ 8, 0xd, 8, 0, -EPROTO },		/* echoes NEED_REPLY */
	{ 8, 0x1, 8, 0, -EPROTO },		/* is no reply */
	{ 8, 0x6, 8, 0, -EPROTO },		/* other version */
	{ 9, 0x5, 8, 0, -EPROTO },		/* answers another */
	{ 8, 0x5, 4, 0, -EPROTO },
	{ 8, 0x5, 0, 0, -EPROTO },
	{ 8, 0x5, 12, 0, -EPROTO },
};

START_TEST(ack)
{
	const uint64_t payload[2] = { acks[_i].value };

	fe.protocol_features = P(REPLY_ACK);
	answer(acks[_i].request, acks[_i].flags, payload, acks[_i].size);
	ck_assert_int_eq(fe_set_vring_num(&fe, 0, 1), acks[_i].err);
	asked(8, 0x9, 8, 0);
}
END_TEST

START_TEST(ack_switch)
{
	fe.protocol_features = P(REPLY_ACK);
	ck_assert_int_eq(fe_set_owner(&fe), -ETIMEDOUT);
	asked(3, 0x9, 0, 0);
	fe.no_ack = true;
	ck_assert_int_eq(fe_set_owner(&fe), 0);
	asked(3, 0x1, 0, 0);
	fe.no_ack = false;
	/* Queries are answered anyway and do not ask for it. */
	answer_u64(1, 0);
	ck_assert_int_eq(fe_sync(&fe), 0);
	asked(1, 0x1, 0, 0);
	/* The message which negotiates it comes before it. */
	fe.protocol_features = 0;
	ck_assert_int_eq(fe_set_protocol_features(&fe, P(REPLY_ACK)), 0);
	asked(16, 0x1, 8, 0);
}
END_TEST

/* Send a header with more fds than fe_send_raw() would. */
static void send_many_fds(const struct vu_header *hdr, const int *fds, unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * FE_FDS_MAX * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)hdr, .iov_len = sizeof(*hdr) };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(nfds * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&mh);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	ck_assert_int_eq(sendmsg(be.fd, &mh, 0), sizeof(*hdr));
}

/* What comes with an answer is not lost, even if it must not come. */
START_TEST(reply_with_fds)
{
	const struct vu_header hdr = { .request = 1, .flags = 0x5, .size = 8 };
	const uint64_t value = 0;
	int many[FE_FDS_MAX + 1], i;
	struct fe_msg msg;

	for (i = 0; i <= FE_FDS_MAX; i++)
		many[i] = be.fd;
	ck_assert_int_eq(fe_send_raw(&be, &hdr, &value, 8, many, 3), 0);
	ck_assert_int_eq(fe_sync(&fe), -EPROTO);
	ck_assert_int_eq(fe_send_raw(&be, &hdr, &value, 8, many, 3), 0);
	ck_assert_int_eq(fe_query(&fe, 1, NULL, 0, NULL, 0, &msg), 0);
	ck_assert_uint_eq(msg.nfds, 3);
	ck_assert_int_ne(fcntl(msg.fds[0], F_GETFD) & FD_CLOEXEC, 0);
	fe_msg_close(&msg);
	/* As many as fit, and more in the same message. */
	ck_assert_int_eq(fe_send_raw(&be, &hdr, NULL, 0, many, FE_FDS_MAX), 0);
	ck_assert_int_eq(fe_send_bytes(&be, &value, 8, many, 1), 0);
	ck_assert_int_eq(fe_recv_raw(&fe, &msg), -EPROTO);
	send_many_fds(&hdr, many, FE_FDS_MAX + 1);
	ck_assert_int_eq(fe_recv_raw(&fe, &msg), -EPROTO);
	ck_assert_int_eq(fe_send_raw(&be, &hdr, NULL, 0, many, FE_FDS_MAX + 1), -EINVAL);
}
END_TEST

START_TEST(pieces)
{
	const struct vu_header hdr = { .request = 8, .flags = 0x1, .size = 3 };
	const char *bytes = (const char *)&hdr;
	struct fe_msg msg;
	size_t i;

	for (i = 0; i < sizeof(hdr); i++)
		ck_assert_int_eq(fe_send_bytes(&fe, bytes + i, 1, &fe.fd, i == 5), 0);
	ck_assert_int_eq(fe_send_bytes(&fe, "abc", 3, NULL, 0), 0);
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	ck_assert_mem_eq(&msg.hdr, &hdr, sizeof(hdr));
	ck_assert_mem_eq(msg.u.bytes, "abc", 3);
	ck_assert_uint_eq(msg.nfds, 1);
	fe_msg_close(&msg);

	/* A header may say what it likes. */
	ck_assert_int_eq(fe_send_raw(&fe, &hdr, "abcd", 2, NULL, 0), 0);
	ck_assert_int_eq(fe_recv_raw(&be, &msg), -ETIMEDOUT);
	ck_assert_int_eq(fe_send_raw(&fe, &(struct vu_header){ .size = VU_PAYLOAD_MAX + 1 },
				     NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(fe_recv_raw(&be, &msg), -EPROTO);
}
END_TEST

START_TEST(closed)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_wait_closed(&fe), -ETIMEDOUT);
	answer_u64(1, 0);
	ck_assert_int_eq(fe_wait_closed(&fe), -EPROTO);
	fe_close(&be);
	ck_assert_int_eq(fe_wait_closed(&fe), 0);
	ck_assert_int_eq(fe_recv_raw(&fe, &msg), -ECONNRESET);
	ck_assert_int_eq(fe_sync(&fe), -ECONNRESET);
	ck_assert_int_eq(fe_set_owner(&fe), -ECONNRESET);
}
END_TEST

/* The connection ends with something unread, and in the middle of an answer. */
START_TEST(closed_early)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_set_owner(&fe), 0);
	fe_close(&be);
	ck_assert_int_eq(fe_wait_closed(&fe), 0);
	peer_teardown();
	peer_setup();
	ck_assert_int_eq(fe_send_bytes(&be, "\1\0\0\0\5", 5, NULL, 0), 0);
	fe_close(&be);
	ck_assert_int_eq(fe_recv_raw(&fe, &msg), -EPROTO);
}
END_TEST

/* A back-end which does not read stops nobody for ever. */
START_TEST(send_times_out)
{
	static const char block[1 << 16];
	int err;

	do {
		err = fe_send_bytes(&fe, block, sizeof(block), NULL, 0);
	} while (!err);
	ck_assert_int_eq(err, -ETIMEDOUT);
}
END_TEST

START_TEST(backend_channel)
{
	const struct vu_header hdr = { .request = 2, .flags = 0x9 }, reply = { .flags = 0x5 };
	struct fe_msg msg, sent;
	struct fe ch;

	ck_assert_int_eq(fe_set_backend_req_fd(&fe), 0);
	ck_assert_int_eq(fe_recv_raw(&be, &sent), 0);
	ck_assert_uint_eq(sent.hdr.request, 21);
	ck_assert_uint_eq(sent.hdr.size, 0);
	ck_assert_uint_eq(sent.nfds, 1);
	fe_attach(&ch, sent.fds[0]);
	ch.timeout_ms = SHORT_MS;
	ck_assert_int_eq(fe_backend_recv(&fe, &msg), -ETIMEDOUT);
	ck_assert_int_eq(fe_send_raw(&ch, &hdr, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(fe_backend_recv(&fe, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, 2);
	ck_assert_int_eq(fe_backend_reply(&fe, &msg, 5), 0);
	ck_assert_int_eq(fe_recv_raw(&ch, &sent), 0);
	ck_assert_uint_eq(sent.hdr.flags, 0x5);
	ck_assert_uint_eq(sent.u.u64, 5);
	msg.hdr.flags = 0x1;
	ck_assert_int_eq(fe_backend_reply(&fe, &msg, 5), 0);
	ck_assert_int_eq(fe_recv_raw(&ch, &sent), -ETIMEDOUT);
	ck_assert_int_eq(fe_send_raw(&ch, &reply, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(fe_backend_recv(&fe, &msg), -EPROTO);
	fe_close(&ch);
	ck_assert_int_eq(fe_backend_recv(&fe, &msg), -ECONNRESET);
}
END_TEST

/* The requests which come in this order; 0 ends. */
static void asked_sequence(const uint32_t *requests)
{
	struct fe_msg msg;

	for (; *requests; requests++) {
		ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
		fe_msg_close(&msg);
		ck_assert_uint_eq(msg.hdr.request, *requests);
	}
	asked_nothing();
}

#define ASKED_SEQUENCE(...) asked_sequence((const uint32_t[]){ __VA_ARGS__, 0 })

START_TEST(negotiate)
{
	answer_u64(VU_GET_FEATURES, F_PROTOCOL | 0xf0);
	answer_u64(VU_GET_PROTOCOL_FEATURES, 0xffffff);
	answer_u64(VU_GET_QUEUE_NUM, 2);
	answer_u64(VU_GET_MAX_MEM_SLOTS, 32);
	answer_u64(VU_GET_FEATURES, F_PROTOCOL | 0xf0);
	ck_assert_int_eq(fe_negotiate(&fe, F_PROTOCOL | 0x1f,
				      P(MQ) | P(BACKEND_REQ) | P(CONFIGURE_MEM_SLOTS) |
				      FE_BIT(40)), 0);
	ck_assert_uint_eq(fe.features, F_PROTOCOL | 0x10);
	ck_assert_uint_eq(fe.protocol_features, P(MQ) | P(BACKEND_REQ) | P(CONFIGURE_MEM_SLOTS));
	ck_assert_uint_eq(fe.queue_num, 2);
	ASKED_SEQUENCE(1, 15, 16, 17, 36, 21, 3, 1);
}
END_TEST

START_TEST(negotiate_little)
{
	answer_u64(VU_GET_FEATURES, F_PROTOCOL | 0xf0);
	answer_u64(VU_GET_FEATURES, F_PROTOCOL | 0xf0);
	ck_assert_int_eq(fe_negotiate(&fe, 0x1f, P(MQ)), 0);
	ck_assert_uint_eq(fe.features, 0x10);
	ASKED_SEQUENCE(1, 3, 1);
}
END_TEST

/* Two rings in a memory of two regions. */
static struct fe_mem seq_mem;
static struct fe_ring seq_ring[2];
static struct fe_ring *const seq_rings[] = { &seq_ring[0], &seq_ring[1] };

static void open_rings(void)
{
	unsigned int i;

	make_mem(&seq_mem);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(fe_ring_init(&seq_ring[i], &seq_mem, &(struct fe_ring_params){
			.index = i, .size = 4, .base = 7 }), 0);
}

static void close_rings(void)
{
	fe_ring_free(&seq_ring[0]);
	fe_ring_free(&seq_ring[1]);
	fe_mem_free(&seq_mem);
}

START_TEST(start_stop)
{
	const struct vu_vring_state state[] = {
		{ .index = 0, .num = 7 }, { .index = 1, .num = 9 },
	};
	uint32_t base;

	open_rings();
	fe.features = F_PROTOCOL;
	ck_assert_int_eq(fe_start(&fe, &seq_mem, seq_rings, 2), 0);
	ASKED_SEQUENCE(2, 13, 14, 13, 14, 2, 5, 8, 10, 9, 12, 8, 10, 9, 12, 18, 18);
	answer(VU_GET_VRING_BASE, 0x5, &state[0], 8);
	answer(VU_GET_VRING_BASE, 0x5, &state[1], 8);
	ck_assert_int_eq(fe_stop(&fe, seq_rings, 2), 0);
	ASKED_SEQUENCE(18, 18, 11, 11);

	/* One ring alone. */
	ck_assert_int_eq(fe_start_ring(&fe, &seq_ring[1]), 0);
	ASKED_SEQUENCE(13, 14, 8, 10, 9, 12);
	answer(VU_GET_VRING_BASE, 0x5, &state[1], 8);
	ck_assert_int_eq(fe_stop_ring(&fe, &seq_ring[1], &base), 0);
	ck_assert_uint_eq(base, 9);
	close_rings();
}
END_TEST

START_TEST(start_without_protocol_features)
{
	open_rings();
	ck_assert_int_eq(fe_start(&fe, &seq_mem, seq_rings, 1), 0);
	ASKED_SEQUENCE(2, 13, 14, 2, 5, 8, 10, 9, 12);
	close_rings();
}
END_TEST

START_TEST(start_with_slots_and_status)
{
	open_rings();
	fe.features = F_PROTOCOL;
	fe.protocol_features = P(CONFIGURE_MEM_SLOTS) | P(STATUS);
	answer_u64(VU_GET_STATUS, 0);
	answer_u64(VU_GET_STATUS, VIRTIO_CONFIG_S_FEATURES_OK);
	answer_u64(VU_GET_STATUS, VIRTIO_CONFIG_S_FEATURES_OK);
	ck_assert_int_eq(fe_start(&fe, &seq_mem, seq_rings, 1), 0);
	ASKED_SEQUENCE(2, 40, 39, 13, 14, 2, 40, 37, 37, 8, 10, 9, 12, 18, 40, 39);
	/* The regions are there already. */
	ck_assert_int_eq(fe_start_mem(&fe, &seq_mem), 0);
	asked_nothing();
	close_rings();
}
END_TEST

START_TEST(connect_to_socket)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/test_frontend.XXXXXX", path[64], longer[200] = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	memcpy(addr.sun_path, path, sizeof(path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	fe_close(&fe);
	ck_assert_int_eq(fe_connect(&fe, path), 0);
	fe_close(&fe);
	unlink(path);
	rmdir(dir);
	close(fd);
	memset(longer, 'x', sizeof(longer) - 1);
	ck_assert_int_eq(fe_connect(&fe, longer), -ENAMETOOLONG);
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, peer_setup, peer_teardown);
	suite_add_tcase(s, tc);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("frontend connection");
	TCase *tc;

	tc = add_case(s, "messages");
	tcase_add_test(tc, plain_messages);
	tcase_add_test(tc, vring_fds);
	tcase_add_test(tc, memory_messages);
	tcase_add_test(tc, queries);
	tcase_add_test(tc, config);
	tc = add_case(s, "answers");
	tcase_add_loop_test(tc, ack, 0, sizeof(acks) / sizeof(acks[0]));
	tcase_add_test(tc, ack_switch);
	tcase_add_test(tc, reply_with_fds);
	tcase_add_test(tc, pieces);
	tcase_add_test(tc, closed);
	tcase_add_test(tc, closed_early);
	tcase_add_test(tc, send_times_out);
	tcase_add_test(tc, backend_channel);
	tc = add_case(s, "sequences");
	tcase_add_test(tc, negotiate);
	tcase_add_test(tc, negotiate_little);
	tcase_add_test(tc, start_stop);
	tcase_add_test(tc, start_without_protocol_features);
	tcase_add_test(tc, start_with_slots_and_status);
	tcase_add_test(tc, connect_to_socket);
	return tap_main(s);
}
