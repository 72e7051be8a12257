/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library: messages of migration, IOMMU, device types; the back-end channel. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fe_backend.h"
#include "fe_iommu.h"
#include "fe_migrate.h"
#include "frontend_peer.h"
#include "tap.h"

#define PAGE	4096u
#define P(bit)	FE_BIT(VU_PROTOCOL_F_##bit)

static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

/* Messages without a reply of their own, as 32-bit words. */
START_TEST(plain)
{
	ck_assert_int_eq(fe_send_rarp(&fe, (const uint8_t *)"\1\2\3\4\5\6"), 0);
	ASKED(19, 0x04030201, 0x0605);
	ck_assert_int_eq(fe_net_set_mtu(&fe, 1500), 0);
	ASKED(20, 1500, 0);
	ck_assert_int_eq(fe_set_vring_endian(&fe, 3, true), 0);
	ASKED(23, 3, 1);
	ck_assert_int_eq(fe_set_vring_endian(&fe, 3, false), 0);
	ASKED(23, 3, 0);
	ck_assert_int_eq(fe_close_crypto_session(&fe, 0x100000007), 0);
	ASKED(27, 7, 1);
	ck_assert_int_eq(fe_vring_kick(&fe, 9), 0);
	ASKED(35, 9, 0);
	ck_assert_int_eq(fe_set_log_fd(&fe, be.fd), 0);
	asked(7, 0x1, 0, 1);
	ck_assert_int_eq(fe_gpu_set_socket(&fe, be.fd), 0);
	asked(33, 0x1, 0, 1);
	ck_assert_int_eq(fe_set_log_base(&fe, 100, 200, be.fd), 0);
	ASKED(6, 100, 0, 200, 0);
	asked_nothing();
}
END_TEST

/* With REPLY_ACK the same ask for an ack and report it. */
START_TEST(acks)
{
	fe.protocol_features = P(REPLY_ACK);
	answer_u64(20, 0);
	ck_assert_int_eq(fe_net_set_mtu(&fe, 1500), 0);
	asked(20, 0x9, 8, 0);
	answer_u64(20, 1);
	ck_assert_int_eq(fe_net_set_mtu(&fe, 1), -EIO);
	asked(20, 0x9, 8, 0);
	answer_u64(35, 1);
	ck_assert_int_eq(fe_vring_kick(&fe, 9), -EIO);
	asked(35, 0x9, 8, 0);
}
END_TEST

/* Messages whose reply is a u64: 0, or the back-end refuses. */
static int log_base(void)
{
	fe.protocol_features = P(LOG_SHMFD);
	return fe_set_log_base(&fe, 100, 200, be.fd);
}

static int iotlb_update(void)
{
	return fe_iotlb_update(&fe, 0x1000, 0x2000, 0x30000, VU_IOTLB_RW);
}

static int iotlb_invalidate(void)
{
	return fe_iotlb_invalidate(&fe, 0x1000, 0x2000);
}

static int listen_(void)
{
	return fe_postcopy_listen(&fe);
}

static int end(void)
{
	return fe_postcopy_end(&fe);
}

static int check_state(void)
{
	return fe_check_device_state(&fe);
}

static const struct u64_row {
	int (*send)(void);
	uint32_t request, flags;
	unsigned int nfds, num;
	uint32_t words[8];
} u64_rows[] = {
	{ log_base, 6, 0x1, 1, 4, { 100, 0, 200 } },
	{ iotlb_update, 22, 0x9, 0, 8, { 0x1000, 0, 0x2000, 0, 0x30000, 0, 0x203 } },
	{ iotlb_invalidate, 22, 0x9, 0, 8, { 0x1000, 0, 0x2000, 0, 0, 0, 0x300 } },
	{ listen_, 29, 0x9, 0, 0, { 0 } },
	{ end, 30, 0x9, 0, 0, { 0 } },
	{ check_state, 43, 0x1, 0, 0, { 0 } },
};

static void check_u64(const struct u64_row *row, int expected)
{
	const struct fe_msg *msg;

	ck_assert_int_eq(row->send(), expected);
	msg = asked(row->request, row->flags, row->num * 4, row->nfds);
	ck_assert_mem_eq(msg->u.bytes, row->words, row->num * 4);
}

START_TEST(u64_replies)
{
	const struct u64_row *row = &u64_rows[_i];
	const uint64_t values[2] = { 0 };

	answer_u64(row->request, 0);
	check_u64(row, 0);
	answer_u64(row->request, 1);
	check_u64(row, -EIO);
	answer(row->request, 0xd, values, 8);
	check_u64(row, -EPROTO);
	answer(row->request, 0x1, values, 8);
	check_u64(row, -EPROTO);
	answer_u64(row->request + 1, 0);
	check_u64(row, -EPROTO);
	answer(row->request, 0x5, values, 0);
	check_u64(row, -EPROTO);
	answer(row->request, 0x5, values, 16);
	check_u64(row, -EPROTO);
	answer_fds(row->request, values, 8, &be.fd, 1);
	check_u64(row, -EPROTO);
	check_u64(row, -ETIMEDOUT);
}
END_TEST

/* The fd is the one sent, closed by us. */
static void check_fd(int fd)
{
	struct stat a, b;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &a), 0);
	ck_assert_int_eq(fstat(be.fd, &b), 0);
	ck_assert(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	close(fd);
}

START_TEST(inflight_get)
{
	struct vu_inflight want = { .num_queues = 2, .queue_size = 128 };
	struct vu_inflight got = {
		.mmap_size = 8192, .mmap_offset = 4096, .num_queues = 2, .queue_size = 128,
	};
	const struct fe_msg *msg;
	int fd = -1;

	answer_fds(31, &got, 24, &be.fd, 1);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), 0);
	check_fd(fd);
	ck_assert_uint_eq(want.mmap_size, 8192);
	ck_assert_uint_eq(want.mmap_offset, 4096);
	msg = asked(31, 0x1, 24, 0);
	ck_assert_uint_eq(msg->u.inflight.mmap_size, 0);
	ck_assert_uint_eq(msg->u.inflight.num_queues, 2);
	ck_assert_uint_eq(msg->u.inflight.queue_size, 128);

	/* 20 bytes were not asked for. */
	answer_fds(31, &got, 20, &be.fd, 1);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), -EPROTO);
	answer_fds(31, &got, 24, NULL, 0);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), -EPROTO);
	got.num_queues = 1;
	answer_fds(31, &got, 24, &be.fd, 1);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), -EPROTO);
	got.num_queues = 2;
	got.mmap_size = 0;
	answer_fds(31, &got, 24, &be.fd, 1);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), -EPROTO);
	answer_fds(31, &got, 24, NULL, 0);
	ck_assert_int_eq(fe_get_inflight_fd(&fe, &want, &fd), -EIO);
}
END_TEST

START_TEST(inflight_set)
{
	const struct vu_inflight inflight = { 8192, 4096, 2, 128, { 0 } };
	const struct fe_msg *msg;

	ck_assert_int_eq(fe_set_inflight_fd(&fe, &inflight, be.fd), 0);
	msg = asked(32, 0x1, 24, 1);
	ck_assert_mem_eq(msg->u.bytes, &inflight, 24);
}
END_TEST

/* Replies which are an fd: one, none, two. */
static int advise(int *fd)
{
	return fe_postcopy_advise(&fe, fd);
}

static int shared(int *fd)
{
	return fe_get_shared_object(&fe, uuid, fd);
}

START_TEST(fd_replies)
{
	int (*const send[])(int *) = { advise, shared };
	const uint32_t requests[] = { 28, 41 }, sizes[] = { 0, 16 };
	const int fds[2] = { be.fd, be.fd };
	const struct fe_msg *msg;
	int fd = -1;

	answer_fds(requests[_i], NULL, 0, fds, 1);
	ck_assert_int_eq(send[_i](&fd), 0);
	check_fd(fd);
	msg = asked(requests[_i], 0x1, sizes[_i], 0);
	ck_assert_mem_eq(msg->u.bytes, uuid, sizes[_i]);
	answer_fds(requests[_i], NULL, 0, NULL, 0);
	ck_assert_int_eq(send[_i](&fd), -EIO);
	answer_fds(requests[_i], NULL, 0, fds, 2);
	ck_assert_int_eq(send[_i](&fd), -EPROTO);
	if (requests[_i] != 28)
		return;
	answer_fds(requests[_i], fds, 8, fds, 1);
	ck_assert_int_eq(send[_i](&fd), -EPROTO);
}
END_TEST

static const struct {
	uint64_t value;
	unsigned int nfds;
	int expected;
} state_rows[] = {
	{ 0x100, 0, 0 },
	{ 0, 1, 0 },
	{ 0x101, 0, -EIO },
	{ 0x1ff, 0, -EIO },
	{ 0, 0, -EPROTO },
	{ 0x100, 1, -EPROTO },
	{ 1, 1, -EPROTO },
	{ 1, 0, -EPROTO },
	{ 0x300, 0, -EPROTO },
};

START_TEST(device_state)
{
	uint64_t value = state_rows[_i].value;
	int fd = 12345, err;

	answer_fds(42, &value, 8, &be.fd, state_rows[_i].nfds);
	err = fe_set_device_state_fd(&fe, VU_TRANSFER_LOAD, 0, be.fd, &fd);
	ck_assert_int_eq(err, state_rows[_i].expected);
	if (!err && state_rows[_i].nfds)
		check_fd(fd);
	else
		ck_assert_int_eq(fd, err ? 12345 : -1);
	ck_assert_uint_eq(asked(42, 0x1, 8, 1)->u.u64, 1);
}
END_TEST

START_TEST(crypto)
{
	uint8_t params[32] = "params";
	int64_t id = 77;

	memcpy(params + 24, &id, 8);
	answer(26, 0x5, params, 32);
	id = 0;
	ck_assert_int_eq(fe_create_crypto_session(&fe, params, 32, &id), 0);
	ck_assert_int_eq(id, 77);
	ck_assert_mem_eq(asked(26, 0x1, 32, 0)->u.bytes, params, 32);
	answer(26, 0x5, params, 24);
	ck_assert_int_eq(fe_create_crypto_session(&fe, params, 32, &id), -EPROTO);
	memset(params + 24, 0xff, 8);
	answer(26, 0x5, params, 32);
	ck_assert_int_eq(fe_create_crypto_session(&fe, params, 32, &id), -EIO);
	ck_assert_int_eq(fe_create_crypto_session(&fe, params, 8, &id), -EINVAL);
	ck_assert_int_eq(fe_create_crypto_session(&fe, params, 5000, &id), -EINVAL);
}
END_TEST

START_TEST(shmem_config)
{
	static uint32_t words[514] = { 2, 0, 0, 0, PAGE, 0, 0, 1 };
	struct vu_shmem_config config;

	answer(44, 0x5, words, 2056);
	ck_assert_int_eq(fe_get_shmem_config(&fe, &config), 0);
	asked(44, 0x1, 0, 0);
	ck_assert_uint_eq(config.num_regions, 2);
	ck_assert_uint_eq(config.sizes[1], PAGE);
	ck_assert_uint_eq(config.sizes[2], UINT64_C(0x100000000));
	answer(44, 0x5, words, 2048);
	ck_assert_int_eq(fe_get_shmem_config(&fe, &config), -EPROTO);
	words[0] = 3;
	answer(44, 0x5, words, 2056);
	ck_assert_int_eq(fe_get_shmem_config(&fe, &config), -EPROTO);
}
END_TEST

START_TEST(skip_drain)
{
	const uint32_t reply[2] = { 5, 0x80018001 };
	uint32_t base = 0;

	answer(45, 0x5, reply, 8);
	ck_assert_int_eq(fe_get_vring_base_skip_drain(&fe, 5, &base), 0);
	ck_assert_uint_eq(base, 0x80018001);
	ASKED(45, 5, 0);
	answer(45, 0x5, reply, 8);
	ck_assert_int_eq(fe_get_vring_base_skip_drain(&fe, 4, &base), -EPROTO);
}
END_TEST

/* The table goes there and back with other addresses, then the go-ahead. */
START_TEST(postcopy_table)
{
	uint32_t table[] = {
		2, 0,
		0x1000, 0, 0x1000, 0, 0xaaa000, 0, 0, 0,
		0x9000, 0, 0x2000, 0, 0xbbb000, 1, 0x1000, 0,
	};
	uint64_t bases[2];
	const struct fe_msg *msg;
	struct fe_mem mem = { 0 };

	fe.protocol_features = P(REPLY_ACK);
	ck_assert_int_eq(fe_mem_add(&mem, &(struct fe_region_params){
		.gpa = 0x1000, .size = PAGE, .uva = 0x10000 }), 0);
	ck_assert_int_eq(fe_mem_add(&mem, &(struct fe_region_params){
		.gpa = 0x9000, .size = 2 * PAGE, .uva = 0x20000, .offset = PAGE }), 1);
	answer(5, 0x5, table, sizeof(table));
	ck_assert_int_eq(fe_postcopy_set_mem_table(&fe, &mem, bases), 0);
	ck_assert_uint_eq(bases[0], 0xaaa000);
	ck_assert_uint_eq(bases[1], 0x100bbb000);
	msg = asked(5, 0x1, sizeof(table), 2);
	ck_assert_uint_eq(msg->u.memory.regions[0].user_addr, 0x10000);
	ck_assert_uint_eq(msg->u.memory.regions[1].user_addr, 0x20000);
	ck_assert_int_eq(fe_postcopy_go_ahead(&fe, VU_SET_MEM_TABLE), 0);
	ASKED(5, 0, 0);

	answer_fds(5, table, sizeof(table), &be.fd, 1);
	ck_assert_int_eq(fe_postcopy_set_mem_table(&fe, &mem, bases), -EPROTO);
	answer(5, 0x5, table, sizeof(table) - 32);
	ck_assert_int_eq(fe_postcopy_set_mem_table(&fe, &mem, bases), -EPROTO);
	table[12]++;
	answer(5, 0x5, table, sizeof(table));
	ck_assert_int_eq(fe_postcopy_set_mem_table(&fe, &mem, bases), -EPROTO);
	fe_mem_free(&mem);
}
END_TEST

START_TEST(postcopy_regs)
{
	uint32_t reg[] = { 0, 0, 0x1000, 0, 0x1000, 0, 0xaaa000, 0, 0, 0 };
	struct fe_mem mem;
	uint64_t base;

	ck_assert_int_eq(fe_mem_init(&mem, 0x1000, PAGE), 0);
	answer(37, 0x5, reg, sizeof(reg));
	ck_assert_int_eq(fe_postcopy_add_mem_reg(&fe, &mem.regions[0], &base), 0);
	ck_assert_uint_eq(base, 0xaaa000);
	ck_assert_uint_eq(fe.mem_regs, 1);
	asked(37, 0x1, 40, 1);
	ck_assert_int_eq(fe_postcopy_go_ahead(&fe, VU_ADD_MEM_REG), 0);
	ASKED(37, 0, 0);
	reg[4]++;
	answer(37, 0x5, reg, sizeof(reg));
	ck_assert_int_eq(fe_postcopy_add_mem_reg(&fe, &mem.regions[0], &base), -EPROTO);
	fe_mem_free(&mem);
}
END_TEST

/*
 * The back-end channel
 */

static struct fe chan;			/* the back-end's end of it, as if it were a front-end */

static void open_channel(void)
{
	struct fe_msg msg;

	peer_setup();
	ck_assert_int_eq(fe_set_backend_req_fd(&fe), 0);
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, 21);
	ck_assert_uint_eq(msg.nfds, 1);
	fe_attach(&chan, msg.fds[0]);
	chan.timeout_ms = SHORT_MS;
}

static void close_channel(void)
{
	fe_close(&chan);
	peer_teardown();
}

static void request(uint32_t id, uint32_t flags, const void *payload, uint32_t size,
		    unsigned int nfds)
{
	const struct vu_header hdr = { .request = id, .flags = flags, .size = size };
	const int fds[2] = { be.fd, be.fd };

	ck_assert_int_eq(fe_send_raw(&chan, &hdr, payload, size, fds, nfds), 0);
}

/* What a back-end may send, and how it may be answered. */
static const struct {
	uint32_t id, size;
	unsigned int nfds;
	bool answered;
	uint32_t words[12];		/* and more than is right */
} good[] = {
	{ 1, 32, 0, false, { 0x1000, 0, 1, 0, 0, 0, 0x103, 0 } },
	{ 1, 32, 0, false, { 0x1000, 0, 1, 0, 0, 0, 0x401, 0 } },
	{ 2, 0, 0, false, { 0 } },
	{ 3, 24, 1, false, { 255, 0, PAGE, 0, 0, 0 } },
	{ 3, 24, 0, false, { 0x107, 0, 0, 0, 0, 0 } },
	{ 4, 8, 0, false, { 300, 0 } },
	{ 5, 8, 0, false, { 1, 0 } },
	{ 6, 16, 0, false, { 1, 2, 3, 4 } },
	{ 7, 16, 0, false, { 1, 2, 3, 4 } },
	{ 8, 16, 0, true, { 1, 2, 3, 4 } },
	{ 9, 40, 1, false, { 3, 0, 0, 0, PAGE, 0, PAGE, 0, 1, 0 } },
	{ 10, 40, 0, false, { 3, 0, 0, 0, PAGE, 0, PAGE, 0, 0, 0 } },
};

static void check_answer(uint32_t id, uint64_t value, unsigned int nfds)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_recv_raw(&chan, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, id);
	ck_assert_uint_eq(msg.hdr.flags, 0x5);
	ck_assert_uint_eq(msg.hdr.size, 8);
	ck_assert_uint_eq(msg.u.u64, value);
	ck_assert_uint_eq(msg.nfds, nfds);
	fe_msg_close(&msg);
}

START_TEST(backend_requests)
{
	struct fe_msg msg;

	request(good[_i].id, 0x1, good[_i].words, good[_i].size, good[_i].nfds);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), 0);
	ck_assert_uint_eq(msg.hdr.request, good[_i].id);
	ck_assert_uint_eq(msg.nfds, good[_i].nfds);
	ck_assert_mem_eq(msg.u.bytes, good[_i].words, good[_i].size);
	ck_assert_int_eq(fe_backend_wants_reply(&msg), good[_i].answered);
	ck_assert_int_eq(fe_backend_reply(&fe, &msg, 3), 0);
	if (good[_i].answered)
		check_answer(good[_i].id, 3, 0);
	fe_msg_close(&msg);

	request(good[_i].id, 0x9, good[_i].words, good[_i].size, good[_i].nfds);
	ck_assert_int_eq(fe_backend_expect(&fe, good[_i].id, &msg, SHORT_MS), 0);
	ck_assert(fe_backend_wants_reply(&msg));
	ck_assert_int_eq(fe_backend_reply(&fe, &msg, 4), 0);
	check_answer(good[_i].id, 4, 0);
	ck_assert_int_eq(fe_backend_reply_fd(&fe, &msg, 0, be.fd), 0);
	check_answer(good[_i].id, 0, 1);
	fe_msg_close(&msg);
	ck_assert_int_eq(fe_recv_raw(&chan, &msg), -ETIMEDOUT);

	/* Nothing may be missing or too many. */
	request(good[_i].id, 0x1, good[_i].words, good[_i].size, good[_i].nfds + 1);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), -EPROTO);
	request(good[_i].id, 0x1, good[_i].words, good[_i].size + 8, good[_i].nfds);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), -EPROTO);
	request(good[_i].id, 0x5, good[_i].words, good[_i].size, good[_i].nfds);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), -EPROTO);
	request(good[_i].id, 0x1, good[_i].words, good[_i].size, good[_i].nfds);
	ck_assert_int_eq(fe_backend_expect(&fe, good[_i].id + 1, &msg, SHORT_MS), -EPROTO);
}
END_TEST

static const struct {
	uint32_t id, size;
	unsigned int nfds;
	uint32_t words[10];
} bad[] = {
	{ 0, 0, 0, { 0 } },
	{ 11, 0, 0, { 0 } },
	{ 0xffffffff, 0, 0, { 0 } },
	{ 1, 32, 0, { 0x1000, 0, 1, 0, 0, 0, 0x203, 0 } },
	{ 1, 26, 0, { 0x1000, 0, 1, 0, 0, 0, 0x103 } },
	{ 3, 24, 0, { 1, 0, PAGE, 0, 0, 0 } },
	{ 3, 24, 1, { 0x101, 0, PAGE, 0, 0, 0 } },
	{ 3, 24, 1, { 0x201, 0, PAGE, 0, 0, 0 } },
	{ 4, 8, 0, { 1, 1 } },
	{ 5, 8, 0, { 1, 1 } },
	{ 9, 40, 0, { 3, 0, 0, 0, PAGE, 0, PAGE, 0, 1, 0 } },
};

START_TEST(backend_bad_requests)
{
	struct fe_msg msg;

	request(bad[_i].id, 0x1, bad[_i].words, bad[_i].size, bad[_i].nfds);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), -EPROTO);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, 0), -ETIMEDOUT);
	fe_close(&chan);
	ck_assert_int_eq(fe_backend_receive(&fe, &msg, SHORT_MS), -ECONNRESET);
}
END_TEST

#define NUM(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("frontend-msg");
	TCase *tc = tcase_create("messages");

	tcase_add_checked_fixture(tc, peer_setup, peer_teardown);
	tcase_add_test(tc, plain);
	tcase_add_test(tc, acks);
	tcase_add_loop_test(tc, u64_replies, 0, NUM(u64_rows));
	tcase_add_test(tc, inflight_get);
	tcase_add_test(tc, inflight_set);
	tcase_add_loop_test(tc, fd_replies, 0, 2);
	tcase_add_loop_test(tc, device_state, 0, NUM(state_rows));
	tcase_add_test(tc, crypto);
	tcase_add_test(tc, shmem_config);
	tcase_add_test(tc, skip_drain);
	tcase_add_test(tc, postcopy_table);
	tcase_add_test(tc, postcopy_regs);
	suite_add_tcase(suite, tc);
	tc = tcase_create("backend-channel");
	tcase_add_checked_fixture(tc, open_channel, close_channel);
	tcase_add_loop_test(tc, backend_requests, 0, NUM(good));
	tcase_add_loop_test(tc, backend_bad_requests, 0, NUM(bad));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
