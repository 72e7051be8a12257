/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking at the protocol's edge: its messages, and what they refuse.  What happens to
 * rings is in test_inflight_rings.c, and after a crash in test_inflight_kill.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvhost/inflight.h"
#include "tests/proto/inflight.h"
#include "tests/tap.h"
#include "util.h"

static void negotiate(struct echo *e, unsigned int flags)
{
	echo_start(e, 0, flags);
	ck_assert_int_eq(fe_negotiate(&e->fe, FEATURES, ALL), 0);
	ck_assert_int_eq(fe_set_features(&e->fe, e->fe.features), 0);
}

/*
 * proves: PROTOCOL_F_INFLIGHT_SHMFD, PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
 * PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN
 */
START_TEST(offered_if_the_device_wants_it)
{
	const uint64_t bits = TRACK | TRACK_STOP | SKIP_DRAIN;
	uint64_t offered;
	struct echo e;

	echo_start(&e, 0, _i ? FLAGS : 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &offered), 0);
	ck_assert_uint_eq(offered & bits, _i ? bits : 0);
	echo_stop(&e);
}
END_TEST

/* proves: features.protocol-dependencies */
START_TEST(features_which_need_each_other)
{
	const uint64_t ack = FE_BIT(VU_PROTOCOL_F_REPLY_ACK);
	struct echo e;

	echo_start(&e, 0, FLAGS);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack), 0);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack | TRACK_STOP), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack | SKIP_DRAIN), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack | TRACK | SKIP_DRAIN), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack | TRACK_STOP | SKIP_DRAIN), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, ack | TRACK | TRACK_STOP | SKIP_DRAIN), 0);
	echo_stop(&e);
}
END_TEST

/* proves: GET_INFLIGHT_FD, SET_INFLIGHT_FD, msg.size */
START_TEST(get_at_both_sizes)
{
	uint32_t size = _i ? 24 : 20;
	struct vu_inflight ask = { .num_queues = 2, .queue_size = 100 };
	struct fe_msg reply;
	struct stat st;
	struct echo e;

	negotiate(&e, FLAGS);
	memset(ask.padding, 0xee, sizeof(ask.padding));
	ck_assert_int_eq(fe_query(&e.fe, VU_GET_INFLIGHT_FD, &ask, size, NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.hdr.size, size);
	ck_assert_uint_eq(reply.nfds, 1);
	/* Each queue's memory is a multiple of 64 bytes: 16 + 16 * 100, and then some. */
	ck_assert_uint_eq(reply.u.inflight.mmap_size, 2 * 1664);
	ck_assert_uint_eq(reply.u.inflight.mmap_offset, 0);
	ck_assert_uint_eq(reply.u.inflight.num_queues, 2);
	ck_assert_uint_eq(reply.u.inflight.queue_size, 100);
	ck_assert_int_eq(fstat(reply.fds[0], &st), 0);
	ck_assert_int_eq(st.st_size, 2 * 1664);
	ck_assert_int_eq(fcntl(reply.fds[0], F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW),
			 F_SEAL_SHRINK | F_SEAL_GROW);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_INFLIGHT_FD, &reply.u.inflight, size, reply.fds,
				    1), 0);
	fe_msg_close(&reply);
	echo_stop(&e);
}
END_TEST

/* proves: inflight.packed, GET_INFLIGHT_FD */
START_TEST(get_of_the_packed_layout)
{
	struct vu_inflight v = { .num_queues = 3, .queue_size = 5 };
	struct echo e;
	int fd;

	echo_start(&e, 0, FLAGS);
	ck_assert_int_eq(fe_negotiate(&e.fe, FEATURES | FE_BIT(VIRTIO_F_RING_PACKED), ALL), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	ck_assert_int_eq(fe_get_inflight_fd(&e.fe, &v, &fd), 0);
	ck_assert_uint_eq(v.mmap_size, 3 * (32 + 5 * 32));
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: msg.size */
START_TEST(other_sizes_cost_the_connection)
{
	static const uint32_t sizes[] = { 0, 8, 19, 21, 23, 25, 32 };
	const uint8_t payload[32] = { [16] = 1, [18] = 16 };
	struct fe_msg reply;
	struct echo e;

	negotiate(&e, FLAGS);
	ck_assert_int_eq(fe_query(&e.fe, VU_GET_INFLIGHT_FD, payload, sizes[_i], NULL, 0, &reply),
			 -ECONNRESET);
	echo_stop(&e);
}
END_TEST

/* Numbers of queues and entries for which there is no memory; ECHO_QUEUES, at most 32768. */
static const struct vu_inflight bad_counts[] = {
	{ .num_queues = 0, .queue_size = 16 },
	{ .num_queues = ECHO_QUEUES + 1, .queue_size = 16 },
	{ .num_queues = UINT16_MAX, .queue_size = 16 },
	{ .num_queues = UINT16_MAX, .queue_size = UINT16_MAX },
	{ .num_queues = 1, .queue_size = 0 },
	{ .num_queues = 1, .queue_size = 32769 },
	{ .num_queues = 1, .queue_size = UINT16_MAX },
};

/* proves: inflight.numbers, reply.own-error, GET_INFLIGHT_FD */
START_TEST(get_of_bad_counts)
{
	struct fe_msg reply;
	struct echo e;

	negotiate(&e, FLAGS);
	ck_assert_int_eq(fe_query(&e.fe, VU_GET_INFLIGHT_FD, &bad_counts[_i],
				  sizeof(bad_counts[_i]), NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.u.inflight.mmap_size, 0);
	ck_assert_uint_eq(reply.nfds, 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
}
END_TEST

/* proves: inflight.numbers, SET_INFLIGHT_FD */
START_TEST(set_of_bad_counts)
{
	struct vu_inflight v = bad_counts[_i];
	int fd = new_file(FILE_SIZE);
	struct echo e;

	negotiate(&e, FLAGS);
	v.mmap_size = FILE_SIZE;
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, fd), -EIO);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
	close(fd);
}
END_TEST

/* Ranges of the file which will not do, and some which will. */
static const struct bad_range {
	uint64_t size, offset;
	bool good;
} bad_ranges[] = {
	{ 0, 0, false },
	{ NEEDED - 1, 0, false },
	{ NEEDED, 0, true },
	{ FILE_SIZE, 0, true },
	{ FILE_SIZE + 1, 0, false },
	{ UINT64_MAX, 0, false },
	{ NEEDED, 1, false },
	{ NEEDED, 64, false },
	{ NEEDED, 4096, true },
	{ FILE_SIZE, 4096, false },
	{ NEEDED, FILE_SIZE, false },
	{ NEEDED, UINT64_MAX - 4095, false },
	{ UINT64_MAX - 4095, 4096, false },
	{ NEEDED, UINT64_C(1) << 63, false },
};

/* proves: inflight.region-valid */
START_TEST(set_of_ranges)
{
	const struct bad_range *r = &bad_ranges[_i];
	const struct vu_inflight v = { .mmap_size = r->size, .mmap_offset = r->offset,
				       .num_queues = 1, .queue_size = SIZE };
	int fd = new_file(FILE_SIZE);
	struct echo e;

	negotiate(&e, FLAGS);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, fd), r->good ? 0 : -EIO);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
	close(fd);
}
END_TEST

/* Headers of the queue's memory. */
static const struct {
	struct inflight_split header;
	bool good;
} headers[] = {
	{ { 0 }, true },
	{ { .version = 1, .desc_num = SIZE }, true },
	{ { .version = 1, .desc_num = SIZE, .last_batch_head = 0xffff }, true },
	{ { .version = 1, .desc_num = SIZE - 1 }, false },
	{ { .version = 1, .desc_num = SIZE + 1 }, false },
	{ { .version = 1 }, false },
	{ { .version = 2, .desc_num = SIZE }, false },
	{ { .version = 0xffff, .desc_num = SIZE }, false },
	{ { .version = 1, .desc_num = SIZE, .features = 1 }, false },
};

/* proves: inflight.region-valid */
START_TEST(set_of_headers)
{
	/* It is the last queue's header, to see that all are looked at. */
	const struct vu_inflight v = { .mmap_size = 2 * NEEDED, .num_queues = 2,
				       .queue_size = SIZE };
	int fd = new_file(FILE_SIZE);
	struct echo e;

	negotiate(&e, FLAGS);
	ck_assert_int_eq(pwrite(fd, &headers[_i].header, 16, NEEDED), 16);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, fd), headers[_i].good ? 0 : -EIO);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
	close(fd);
}
END_TEST

/* proves: inflight.region-valid */
START_TEST(set_of_what_is_no_file)
{
	const struct vu_inflight v = { .mmap_size = NEEDED, .num_queues = 1, .queue_size = SIZE };
	int file = new_file(FILE_SIZE), event = eventfd(0, EFD_CLOEXEC), pipes[2];
	char path[64];
	struct echo e;
	int readonly;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	readonly = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(readonly, 0);
	negotiate(&e, FLAGS);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, event), -EIO);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, pipes[0]), -EIO);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, readonly), -EIO);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, file), 0);
	echo_stop(&e);
	close(readonly);
	close(pipes[0]);
	close(pipes[1]);
	close(event);
	close(file);
}
END_TEST

/* CVE-2022-0669: fds beyond the one which belongs to the message. */
/* proves: inflight.fds, msg.fds */
START_TEST(wrong_numbers_of_fds)
{
	const struct vu_inflight v = { .mmap_size = NEEDED, .num_queues = 1, .queue_size = SIZE };
	int fds[VU_FDS_MAX], n, i;
	struct fe_msg reply;
	struct echo e;

	for (i = 0; i < VU_FDS_MAX; i++)
		fds[i] = new_file(FILE_SIZE);
	negotiate(&e, FLAGS);
	for (n = 0; n <= VU_FDS_MAX; n++) {
		ck_assert_int_eq(fe_request(&e.fe, VU_SET_INFLIGHT_FD, &v, sizeof(v), fds,
					    (unsigned int)n), n == 1 ? 0 : -EIO);
	}
	ck_assert_int_eq(fe_query(&e.fe, VU_GET_INFLIGHT_FD, &v, sizeof(v), fds, 3, &reply),
			 -ECONNRESET);
	/* That nothing is left open is checked in there. */
	echo_stop(&e);
	for (i = 0; i < VU_FDS_MAX; i++)
		close(fds[i]);
}
END_TEST

/* CVE-2020-10726: each message replaces the mapping of the one before. */
/* proves: inflight.fds */
START_TEST(repeated_messages_leave_one_mapping)
{
	struct vu_inflight v = { .num_queues = 1, .queue_size = SIZE };
	int fd, file = new_file(FILE_SIZE), i;
	struct echo e;

	negotiate(&e, FLAGS);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(fe_get_inflight_fd(&e.fe, &v, &fd), 0);
		ck_assert_uint_eq(count_mappings("vhost-inflight"), 1);
		ck_assert_uint_eq(count_mappings("test-inflight"), 0);
		ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, fd), 0);
		ck_assert_uint_eq(count_mappings("vhost-inflight"), 1);
		ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, file), 0);
		ck_assert_uint_eq(count_mappings("test-inflight"), 1);
		ck_assert_uint_eq(count_mappings("vhost-inflight"), 0);
		/* One which is refused replaces nothing. */
		v.queue_size = 0;
		ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, fd), -EIO);
		ck_assert_uint_eq(count_mappings("test-inflight"), 1);
		v.queue_size = SIZE;
		close(fd);
	}
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	ck_assert_uint_eq(count_mappings("test-inflight"), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&e.fe, &v, file), 0);
	echo_stop(&e);
	close(file);
	ck_assert_uint_eq(count_mappings("test-inflight"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inflight");
	TCase *messages = tcase_create("messages");

	tcase_set_timeout(messages, 60);
	tcase_add_loop_test(messages, offered_if_the_device_wants_it, 0, 2);
	tcase_add_test(messages, features_which_need_each_other);
	tcase_add_loop_test(messages, get_at_both_sizes, 0, 2);
	tcase_add_test(messages, get_of_the_packed_layout);
	tcase_add_loop_test(messages, other_sizes_cost_the_connection, 0, 7);
	tcase_add_loop_test(messages, get_of_bad_counts, 0, ARRAY_SIZE(bad_counts));
	tcase_add_loop_test(messages, set_of_bad_counts, 0, ARRAY_SIZE(bad_counts));
	tcase_add_loop_test(messages, set_of_ranges, 0, ARRAY_SIZE(bad_ranges));
	tcase_add_loop_test(messages, set_of_headers, 0, ARRAY_SIZE(headers));
	tcase_add_test(messages, set_of_what_is_no_file);
	tcase_add_test(messages, wrong_numbers_of_fds);
	tcase_add_test(messages, repeated_messages_leave_one_mapping);
	suite_add_tcase(suite, messages);
	return tap_main(suite);
}
