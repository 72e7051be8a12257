/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows about messages which make no sense: they are refused, and cost the connection at most. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tools/probe.h"
#include "util.h"

#define P(feature) FE_BIT(VU_PROTOCOL_F_##feature)

/* No device has so many, and a number of 8 or 16 bits would become 0. */
#define REFUSE_INDEX	0x10000u

static int refuse_all(struct world *w, const struct world_message *m, size_t n)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = world_bad(w, &m[i]);
	return err;
}

static int refuse_feature(struct world *w)
{
	static const unsigned int bits[] = {
		VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER, VIRTIO_F_SR_IOV, 42,
	};
	size_t i;
	int err = world_negotiate(w, 0);

	for (i = 0; i < ARRAY_SIZE(bits) - 1; i++)
		if (!(w->l.fe.offered & FE_BIT(bits[i])))
			break;
	if (err)
		return err;
	err = fe_set_features(&w->l.fe, w->l.fe.features | FE_BIT(bits[i]));
	return world_refused(w, err, "feature bit %u, which was not offered,", bits[i]);
}

static int refuse_protocol_feature(struct world *w)
{
	int err = world_negotiate(w, 0);

	if (err)
		return err;
	err = fe_set_protocol_features(&w->l.fe, w->l.fe.protocol_features | FE_BIT(63));
	return world_refused(w, err, "protocol feature bit 63, which was not offered,");
}

static int refuse_unknown(struct world *w)
{
	static const uint64_t payload;
	const struct world_message m[] = {
		{ "message 200", 200, &payload, sizeof(payload) },
		{ "message 2147483647", INT32_MAX, NULL, 0 },
	};

	return refuse_all(w, m, ARRAY_SIZE(m));
}

static int refuse_index(struct world *w)
{
	static const struct vu_vring_state num = { .index = REFUSE_INDEX, .num = 128 };
	static const struct vu_vring_state zero = { .index = REFUSE_INDEX };
	static const struct vu_vring_addr addr = { .index = REFUSE_INDEX };
	const struct world_message m[] = {
		{ "SET_VRING_NUM of ring 65536", VU_SET_VRING_NUM, &num, sizeof(num) },
		{ "SET_VRING_BASE of ring 65536", VU_SET_VRING_BASE, &zero, sizeof(zero) },
		{ "SET_VRING_ADDR of ring 65536", VU_SET_VRING_ADDR, &addr, sizeof(addr) },
		{ "SET_VRING_ENABLE of ring 65536", VU_SET_VRING_ENABLE, &zero, sizeof(zero) },
	};
	uint32_t base;
	int err = refuse_all(w, m, ARRAY_SIZE(m));

	if (!err)
		err = world_negotiate(w, 0);
	if (err)
		return err;
	err = fe_get_vring_base(&w->l.fe, REFUSE_INDEX, &base);
	/* It has no way to say no but these. */
	if (!err)
		return load_wrong(&w->l, "GET_VRING_BASE of ring 65536 was answered");
	return err == -ETIMEDOUT ? load_fail(&w->l, err, "GET_VRING_BASE of ring 65536") : 0;
}

static int refuse_ring_size(struct world *w)
{
	static const uint32_t sizes[] = { 0, 3, 65536, UINT32_MAX };
	struct vu_vring_state state = { 0 };
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++) {
		char name[40];

		state.num = sizes[i];
		snprintf(name, sizeof(name), "a split ring of %u entries", sizes[i]);
		/* Only then it is known to be one. */
		err = world_negotiate(w, 0);
		if (!err && fe_set_features(&w->l.fe, w->l.fe.features))
			err = load_wrong(&w->l, "SET_FEATURES was refused");
		if (!err)
			err = world_bad(w, &(struct world_message){
				name, VU_SET_VRING_NUM, &state, sizeof(state),
			});
	}
	return err;
}

static int refuse_enable(struct world *w)
{
	static const struct vu_vring_state state = { .num = 2 };
	const struct world_message m = {
		"SET_VRING_ENABLE with 2", VU_SET_VRING_ENABLE, &state, sizeof(state),
	};

	return world_bad(w, &m);
}

static int refuse_size(struct world *w)
{
	static const uint8_t zeroes[256];
	const struct world_message m[] = {
		{ "SET_FEATURES without a number", VU_SET_FEATURES, zeroes, 0 },
		{ "SET_VRING_NUM of 4 bytes", VU_SET_VRING_NUM, zeroes, 4 },
		{ "SET_VRING_ADDR of 39 bytes", VU_SET_VRING_ADDR, zeroes, 39 },
		{ "SET_MEM_TABLE of 4 bytes", VU_SET_MEM_TABLE, zeroes, 4 },
		{ "SET_VRING_BASE of 256 bytes", VU_SET_VRING_BASE, zeroes, 256 },
	};

	return refuse_all(w, m, ARRAY_SIZE(m));
}

/* A header which promises too much, or is of no version that there is. */
static int refuse_header(struct world *w)
{
	static const struct vu_header headers[] = {
		{ .request = VU_SET_OWNER, .flags = VU_VERSION, .size = INT32_MAX },
		{ .request = VU_SET_OWNER, .flags = VU_VERSION, .size = UINT32_MAX },
	};
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(headers) && !err; i++) {
		err = world_connect(w);
		if (!err)
			err = fe_send_raw(&w->l.fe, &headers[i], NULL, 0, NULL, 0);
		if (err)
			return load_fail(&w->l, err, "a long message");
		err = fe_wait_closed(&w->l.fe);
		if (err)
			return load_fail(&w->l, err, "a message of %u bytes does not end the "
					 "connection", headers[i].size);
	}
	return err;
}

static int refuse_memory(struct world *w)
{
	struct vu_memory one = { .num_regions = 1 }, many = { .num_regions = 9 }, more = many;
	struct vu_memory wrap = one, beyond = one;
	struct fe_mem mem;
	int err = fe_mem_init(&mem, 0, 1 << 20);

	if (err)
		return load_fail(&w->l, err, "memory");
	one.regions[0].size = wrap.regions[0].size = 1 << 20;
	wrap.regions[0].guest_addr = UINT64_MAX - 4095;
	beyond.regions[0].size = 1 << 20;
	beyond.regions[0].mmap_offset = UINT64_MAX - 4095;
	more.num_regions = UINT32_MAX;
	{
		const int *fd = &mem.regions[0].fd;
		const struct world_message m[] = {
			{ "a region without fd", VU_SET_MEM_TABLE, &one, 40, NULL, 0 },
			{ "9 regions", VU_SET_MEM_TABLE, &many, sizeof(many), fd, 1 },
			{ "4294967295 regions", VU_SET_MEM_TABLE, &more, sizeof(more), fd, 1 },
			{ "a region which wraps", VU_SET_MEM_TABLE, &wrap, 40, fd, 1 },
			{ "a region beyond its file", VU_SET_MEM_TABLE, &beyond, 40, fd, 1 },
		};

		err = refuse_all(w, m, ARRAY_SIZE(m));
	}
	fe_mem_free(&mem);
	return err;
}

static int refuse_no_fd(struct world *w)
{
	const struct world_message m = { "SET_BACKEND_REQ_FD without fd", VU_SET_BACKEND_REQ_FD };

	return world_bad(w, &m);
}

static int refuse_config(struct world *w)
{
	uint8_t buf[VU_CONFIG_MAX];
	int err = world_negotiate(w, P(CONFIG));

	if (err)
		return err;
	err = fe_get_config(&w->l.fe, 250, buf, 100);
	if (!err)
		return load_wrong(&w->l, "100 bytes at 250 were answered, of 256");
	return err == -ETIMEDOUT ? load_fail(&w->l, err, "100 bytes at 250") : 0;
}

static int refuse_log(struct world *w)
{
	struct vu_log log = { .size = UINT64_MAX, .offset = 4096 };
	struct fe_mem mem;
	int err = world_negotiate(w, P(LOG_SHMFD));

	if (err)
		return err;
	err = fe_mem_init(&mem, 0, 1 << 20);
	if (err)
		return load_fail(&w->l, err, "memory");
	err = fe_set_log_base(&w->l.fe, log.size, log.offset, mem.regions[0].fd);
	fe_mem_free(&mem);
	if (err == -ETIMEDOUT || err == -EPROTO)
		return load_fail(&w->l, err, "SET_LOG_BASE whose end wraps");
	/* Many answer without a yes or no; what counts is that they live. */
	return 0;
}

static int refuse_inflight(struct world *w)
{
	struct vu_inflight inflight = { .num_queues = UINT16_MAX, .queue_size = UINT16_MAX };
	int fd = -1, err = world_negotiate(w, P(INFLIGHT_SHMFD));

	if (err)
		return err;
	err = fe_get_inflight_fd(&w->l.fe, &inflight, &fd);
	if (!err)
		close(fd);
	return err == -ETIMEDOUT ? load_fail(&w->l, err, "a region for 65535 queues") : 0;
}

/* Messages which bring fds that nobody wants, whatever becomes of the connection. */
static void refuse_send_fds(struct world *w, const int fds[4])
{
	static const uint64_t payload[4];
	struct fe *fe = &w->l.fe;

	fe_set_vring_call(fe, 0, fds[0]);
	fe_set_vring_call(fe, 0, fds[1]);
	fe_request(fe, VU_SET_VRING_CALL, payload, 8, fds, 2);
	if (!world_negotiate(w, 0))
		fe_request(fe, VU_SET_OWNER, NULL, 0, fds, 4);
	if (!world_negotiate(w, 0))
		fe_request(fe, VU_SET_VRING_NUM, payload, 8, fds, 4);
	if (!world_negotiate(w, 0))
		fe_request(fe, 200, payload, 8, fds, 4);
}

static int refuse_wait_files(struct world *w, int before)
{
	uint64_t end = load_clock() + (uint64_t)w->probe->timeout_ms * 1000000u;
	int err, after;

	/* Old connections may still be on their way out. */
	do {
		err = world_negotiate(w, 0);
		after = world_open_files(w);
		if (err || after <= before)
			return err;
		poll(NULL, 0, 10);
	} while (load_clock() < end);
	return load_wrong(&w->l, "it had %d open files before, and %d later", before, after);
}

static int refuse_leak(struct world *w)
{
	int fds[4], before, i, err = world_negotiate(w, 0);

	if (err)
		return err;
	before = world_open_files(w);
	if (before < 0) {
		load_fail(&w->l, before, "the back-end's open files cannot be seen");
		return ROW_SKIP;
	}
	for (i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (i = 0; i < 10 && !err; i++) {
		refuse_send_fds(w, fds);
		err = world_negotiate(w, 0);
	}
	for (i = 0; i < 4; i++)
		close(fds[i]);
	return err ? err : refuse_wait_files(w, before);
}

/* Half a message, and the end. */
static int refuse_half(struct world *w)
{
	static const uint8_t bytes[7] = { VU_GET_FEATURES };
	int err = world_connect(w);

	return err ? err : fe_send_bytes(&w->l.fe, bytes, sizeof(bytes), NULL, 0);
}

const struct row rows_refuse[] = {
	{ "half a message, and the front-end has left", refuse_half },
	{ "a feature which was not offered is refused", refuse_feature },
	{ "a protocol feature which was not offered is refused", refuse_protocol_feature,
	  FE_BIT(VU_F_PROTOCOL_FEATURES) },
	{ "an unknown message is refused", refuse_unknown },
	{ "a ring which is not there is refused", refuse_index },
	{ "sizes which no split ring has are refused", refuse_ring_size },
	{ "SET_VRING_ENABLE takes 0 and 1 only", refuse_enable, FE_BIT(VU_F_PROTOCOL_FEATURES) },
	{ "messages of a wrong size are refused", refuse_size },
	{ "too long a message ends the connection", refuse_header },
	{ "regions which make no sense are refused", refuse_memory },
	{ "a message without its fd is refused", refuse_no_fd, 0, P(BACKEND_REQ) },
	{ "config space has an end", refuse_config, 0, P(CONFIG) },
	{ "a log whose end wraps does no harm", refuse_log, 0, P(LOG_SHMFD) },
	{ "an in-flight region has bounds", refuse_inflight, 0, P(INFLIGHT_SHMFD) },
	{ "fds which nobody wants are closed", refuse_leak },
	{ NULL }
};
