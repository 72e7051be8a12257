/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library in migration: log, in-flight region, device state, rings which move. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fe_migrate.h"
#include "frontend_peer.h"
#include "tap.h"

#define PAGE	4096u
#define P(bit)	FE_BIT(VU_PROTOCOL_F_##bit)
#define LONG_MS	10000

/* As a back-end does which knows the log by its fd only. */
static void mark(const struct fe_log *log, uint64_t page)
{
	uint8_t byte;
	off_t at = (off_t)(log->offset + page / 8);

	ck_assert_int_eq(pread(log->fd, &byte, 1, at), 1);
	byte |= (uint8_t)(1u << page % 8);
	ck_assert_int_eq(pwrite(log->fd, &byte, 1, at), 1);
}

START_TEST(log_bits)
{
	struct fe_log log;

	ck_assert_int_eq(fe_log_init(&log, UINT64_C(65) * PAGE, 24), 0);
	ck_assert_uint_eq(log.size, 16);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	mark(&log, 0);
	mark(&log, 9);
	mark(&log, 64);
	ck_assert_uint_eq(fe_log_count(&log), 3);
	ck_assert(fe_log_is_dirty(&log, 0));
	ck_assert(fe_log_is_dirty(&log, 9 * PAGE + PAGE - 1));
	ck_assert(!fe_log_is_dirty(&log, 8 * PAGE));
	ck_assert(!fe_log_is_dirty(&log, 10 * PAGE));
	ck_assert(!fe_log_is_dirty(&log, UINT64_MAX));
	ck_assert(fe_log_take(&log, 9 * PAGE));
	ck_assert(!fe_log_take(&log, 9 * PAGE));
	ck_assert(!fe_log_take(&log, 8 * PAGE));
	ck_assert(!fe_log_take(&log, UINT64_MAX));
	ck_assert_uint_eq(fe_log_count(&log), 2);
	fe_log_clear(&log);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	fe_log_free(&log);
}
END_TEST

START_TEST(log_copy)
{
	struct fe_mem from, to;
	struct fe_log log;

	ck_assert_int_eq(fe_mem_init(&from, 2 * PAGE, 4 * PAGE), 0);
	ck_assert_int_eq(fe_mem_init(&to, 2 * PAGE, 4 * PAGE), 0);
	ck_assert_int_eq(fe_log_init(&log, 6 * PAGE, 0), 0);
	memset(from.regions[0].ptr, 'x', 4 * PAGE);
	mark(&log, 2);
	mark(&log, 5);
	ck_assert_int_eq(fe_log_copy(&log, &from, &to), 2);
	ck_assert_mem_eq(to.regions[0].ptr, from.regions[0].ptr, PAGE);
	ck_assert_int_eq(to.regions[0].ptr[PAGE], 0);
	ck_assert_int_eq(to.regions[0].ptr[3 * PAGE - 1], 0);
	ck_assert_mem_eq(to.regions[0].ptr + 3 * PAGE, from.regions[0].ptr, PAGE);
	ck_assert_int_eq(fe_log_copy(&log, &from, &to), 0);
	mark(&log, 1);
	ck_assert_int_eq(fe_log_copy(&log, &from, &to), -EFAULT);
	fe_log_free(&log);
	fe_mem_free(&from);
	fe_mem_free(&to);
}
END_TEST

/* The address message, whose flag and log address are what matters here. */
static void asked_addr(const struct fe_ring *ring, uint32_t flags, uint64_t log)
{
	const struct fe_msg *msg = asked(9, 0x1, 40, 0);
	struct vu_vring_addr addr;

	memcpy(&addr, msg->u.bytes, sizeof(addr));
	ck_assert_uint_eq(addr.index, ring->index);
	ck_assert_uint_eq(addr.flags, flags);
	ck_assert_uint_eq(addr.log, log);
	ck_assert_uint_eq(addr.desc, (uintptr_t)ring->desc_area);
}

START_TEST(log_start)
{
	struct fe_ring ring, *rings[] = { &ring };
	const struct fe_msg *msg;
	struct fe_mem mem;
	struct fe_log log;

	ck_assert_int_eq(fe_mem_init(&mem, 0x10000, 16 * PAGE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.size = 8, .index = 3 }), 0);
	ck_assert_int_eq(fe_log_init(&log, 0x20000, 4096), 0);
	fe.protocol_features = P(LOG_SHMFD);
	fe.features = 5;
	answer_u64(6, 0);
	ck_assert_int_eq(fe_log_start(&fe, &log, rings, 1), 0);
	msg = asked(6, 0x1, 16, 1);
	ck_assert_mem_eq(msg->u.bytes, ((uint64_t[]){ log.size, 4096 }), 16);
	ck_assert_uint_eq(asked(2, 0x1, 8, 0)->u.u64, 0x4000005);
	asked_addr(&ring, 1,
		   0x10000 + (uint64_t)((uint8_t *)ring.device_area - mem.regions[0].ptr));
	ck_assert_int_eq(fe_log_stop(&fe, rings, 1), 0);
	ck_assert_uint_eq(asked(2, 0x1, 8, 0)->u.u64, 5);
	asked_addr(&ring, 0, 0);
	asked_nothing();
	fe_log_free(&log);
	fe_ring_free(&ring);
	fe_mem_free(&mem);
}
END_TEST

START_TEST(inflight_region)
{
	struct vu_inflight info = { .mmap_size = 2 * 192, .mmap_offset = 64,
				    .num_queues = 2, .queue_size = 8 };
	struct fe_inflight inflight = FE_INFLIGHT_NONE;
	int fd = memfd_create("region", MFD_CLOEXEC);
	char c;

	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	answer_fds(31, &info, 24, &fd, 1);
	ck_assert_int_eq(fe_inflight_open(&fe, &inflight, 2, 8), 0);
	asked(31, 0x1, 24, 0);
	ck_assert_mem_eq(asked(32, 0x1, 24, 1)->u.bytes, &info, 24);
	*fe_inflight_queue(&inflight, 1) = 'q';
	ck_assert_int_eq(pread(fd, &c, 1, 64 + 192), 1);
	ck_assert_int_eq(c, 'q');

	/* Another connection gets the same; another region takes its place. */
	ck_assert_int_eq(fe_inflight_set(&fe, &inflight), 0);
	ck_assert_mem_eq(asked(32, 0x1, 24, 1)->u.bytes, &info, 24);
	info.mmap_offset = PAGE;
	answer_fds(31, &info, 24, &fd, 1);
	ck_assert_int_eq(fe_inflight_open(&fe, &inflight, 2, 8), 0);
	*fe_inflight_queue(&inflight, 0) = 'r';
	ck_assert_int_eq(pread(fd, &c, 1, PAGE), 1);
	ck_assert_int_eq(c, 'r');
	info.mmap_size = 0;
	answer_fds(31, &info, 24, NULL, 0);
	ck_assert_int_eq(fe_inflight_open(&fe, &inflight, 2, 8), -EIO);
	ck_assert_int_eq(inflight.fd, -1);
	fe_inflight_free(&inflight);
	close(fd);
}
END_TEST

/*
 * Device state: the peer's other half is a thread with the pipe's other end.
 */

#define STATE_SIZE	300000u

static uint8_t state[STATE_SIZE];

struct transfer {
	uint64_t reply;			/* to SET_DEVICE_STATE_FD */
	uint64_t check;			/* to CHECK_DEVICE_STATE */
	size_t len;			/* bytes to save or to load */
	size_t loaded;
	uint8_t got[STATE_SIZE];
	pthread_t thread;
};

static struct transfer transfer;

static void *state_peer(void *arg)
{
	struct transfer *t = arg;
	struct fe_msg msg;
	ssize_t n = 1;
	int fd;

	be.timeout_ms = LONG_MS;
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, 42);
	ck_assert_uint_eq(msg.nfds, 1);
	fd = msg.fds[0];
	answer_u64(42, t->reply);
	if (msg.u.state.index == 0)
		for (t->loaded = 0; t->loaded < t->len && n > 0; t->loaded += (size_t)n)
			n = write(fd, state + t->loaded, t->len - t->loaded);
	else
		for (t->loaded = 0; t->loaded < t->len && n > 0; t->loaded += (size_t)n)
			n = read(fd, t->got + t->loaded, t->len - t->loaded);
	close(fd);
	if (t->reply != 0x100)
		return NULL;
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, 43);
	answer_u64(43, t->check);
	return NULL;
}

static void start_transfer(uint64_t reply, uint64_t check, size_t len)
{
	size_t i;

	for (i = 0; i < STATE_SIZE; i++)
		state[i] = (uint8_t)(i * 7 + i / 251);
	fe.timeout_ms = LONG_MS;
	transfer.reply = reply;
	transfer.check = check;
	transfer.len = len;
	pthread_create(&transfer.thread, NULL, state_peer, &transfer);
}

static void end_transfer(void)
{
	pthread_join(transfer.thread, NULL);
}

START_TEST(state_save)
{
	const size_t sizes[] = { 0, 1, 65536, STATE_SIZE };
	void *buf = NULL;
	size_t len;

	start_transfer(0x100, 0, sizes[_i]);
	ck_assert_int_eq(fe_state_save(&fe, &buf, &len), 0);
	end_transfer();
	ck_assert_uint_eq(len, sizes[_i]);
	if (len)
		ck_assert_mem_eq(buf, state, len);
	free(buf);
}
END_TEST

START_TEST(state_load)
{
	start_transfer(0x100, 0, STATE_SIZE);
	ck_assert_int_eq(fe_state_load(&fe, state, STATE_SIZE), 0);
	end_transfer();
	ck_assert_uint_eq(transfer.loaded, STATE_SIZE);
	ck_assert_mem_eq(transfer.got, state, STATE_SIZE);
}
END_TEST

/* Refused at once, at the end, or in the middle. */
START_TEST(state_failures)
{
	void *buf;
	size_t len;

	signal(SIGPIPE, SIG_IGN);
	start_transfer(0x101, 0, 0);
	ck_assert_int_eq(fe_state_save(&fe, &buf, &len), -EIO);
	end_transfer();
	start_transfer(0x100, 1, 100);
	ck_assert_int_eq(fe_state_save(&fe, &buf, &len), -EIO);
	end_transfer();
	start_transfer(0x100, 7, STATE_SIZE);
	ck_assert_int_eq(fe_state_load(&fe, state, STATE_SIZE), -EIO);
	end_transfer();
	start_transfer(0x100, 0, 1);
	ck_assert_int_eq(fe_state_load(&fe, state, STATE_SIZE), -EIO);
	end_transfer();
}
END_TEST

/* The back-end has a pipe of its own. */
START_TEST(state_other_fd)
{
	uint64_t reply = 0;
	int fds[2];
	void *buf;
	size_t len;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "state", 5), 5);
	close(fds[1]);
	answer_fds(42, &reply, 8, &fds[0], 1);
	answer_u64(43, 0);
	ck_assert_int_eq(fe_state_save(&fe, &buf, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(buf, "state", 5);
	free(buf);
	close(fds[0]);
	asked(42, 0x1, 8, 1);
	asked(43, 0x1, 0, 0);
}
END_TEST

START_TEST(state_silence)
{
	struct fe_msg msg;
	uint64_t reply = 0x100;
	void *buf;
	size_t len;

	/* The other end stays open in the message which nobody has read. */
	answer_fds(42, &reply, 8, NULL, 0);
	ck_assert_int_eq(fe_state_save(&fe, &buf, &len), -ETIMEDOUT);
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	fe_msg_close(&msg);
}
END_TEST

/* A ring goes on in a copy of its memory, with what was outstanding. */
START_TEST(ring_move)
{
	const uint64_t features = (_i ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
				  FE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	struct fe_mem from, to, small;
	struct fe_ring ring;
	struct vu_vring_addr addr;
	struct iovec iov[2];
	uint8_t *new;

	ck_assert_int_eq(fe_mem_init(&from, 0x10000, 16 * PAGE), 0);
	ck_assert_int_eq(fe_mem_init(&to, 0x10000, 16 * PAGE), 0);
	ck_assert_int_eq(fe_mem_init(&small, 0x20000, 16 * PAGE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &from, &(struct fe_ring_params){
		.size = 8, .features = features, .indirect = 2 }), 0);
	iov[0] = iov[1] = (struct iovec){ from.regions[0].ptr + 8 * PAGE, 8 };
	ck_assert_int_eq(fe_ring_add(&ring, iov, 2, NULL, 0, &ring), 0);
	fe_ring_publish(&ring);
	ck_assert_int_eq(fe_ring_move(&ring, &small), -EFAULT);
	ck_assert_ptr_eq(ring.mem, &from);

	new = to.regions[0].ptr;
	memcpy(new, from.regions[0].ptr, 16 * PAGE);
	ck_assert_int_eq(fe_ring_move(&ring, &to), 0);
	fe_mem_free(&from);
	fe_ring_get_addr(&ring, &addr);
	ck_assert_uint_eq(addr.desc, (uintptr_t)new);
	ck_assert_uint_eq(ring.outstanding, 1);
	/* Its tables, too: the old ones are gone. */
	iov[0] = iov[1] = (struct iovec){ new + 8 * PAGE, 8 };
	ck_assert_int_eq(fe_ring_add(&ring, iov, 2, NULL, 0, &ring), 1);
	fe_ring_publish(&ring);
	if (_i)
		ck_assert_uint_eq(((uint16_t *)new)[8 + 7], 0x84);
	else
		ck_assert_uint_eq(((uint16_t *)(new + 128))[1], 2);
	fe_ring_free(&ring);
	fe_mem_free(&to);
	fe_mem_free(&small);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontend-migrate");
	TCase *tc = tcase_create("migrate");

	tcase_add_checked_fixture(tc, peer_setup, peer_teardown);
	tcase_add_test(tc, log_bits);
	tcase_add_test(tc, log_copy);
	tcase_add_test(tc, log_start);
	tcase_add_test(tc, inflight_region);
	tcase_add_loop_test(tc, state_save, 0, 4);
	tcase_add_test(tc, state_load);
	tcase_add_test(tc, state_failures);
	tcase_add_test(tc, state_other_fd);
	tcase_add_test(tc, state_silence);
	tcase_add_loop_test(tc, ring_move, 0, 2);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
