/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: a stream of messages, with file descriptors, into a device.
 *
 * The input is a program: each byte chooses what the front-end, the driver or the device
 * does next.  Messages come as they are, or made from the message table so that they have the shape
 * of the real ones; they may be cut into pieces, and the connection may end anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvhost/pipe.h"
#include "libvhost/proto.h"
#include "tests/fuzz/device.h"
#include "tests/fuzz/messages.h"

struct messages {
	struct fuzz_device d;
	int guest_fd;			/* memfd of MESSAGES_GUEST bytes */
	bool truncated;			/* it is shorter now */
	int kick_fds[8];		/* eventfds which the device was given, the latest */
	unsigned int kicks;
	int back_fd;			/* our end of the latest back-end channel */
	int pipe_fd;			/* our end of the latest pipe */
	int inflight_fd;		/* of the device's latest reply with an fd */
	size_t cut;			/* send the next message in two pieces, the first of this size */
};

/*
 * File descriptors
 */

static int messages_memfd(off_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	stepped_check(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

static int messages_event(struct messages *m, int flags)
{
	int *slot = &m->kick_fds[m->kicks++ % ARRAY_SIZE(m->kick_fds)];
	int fd = eventfd(0, EFD_CLOEXEC | flags);

	stepped_check(fd >= 0);
	close_fd(slot);
	*slot = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static int messages_pipe(struct messages *m, bool write_end)
{
	int fds[2];

	stepped_check(!pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	close_fd(&m->pipe_fd);
	m->pipe_fd = fds[!write_end];
	return fds[write_end];
}

static int messages_socket(struct messages *m)
{
	int fds[2];

	stepped_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
	close_fd(&m->back_fd);
	m->back_fd = fds[0];
	return fds[1];
}

static int messages_fd(struct messages *m, uint8_t kind)
{
	switch (kind % MESSAGES_FD_KINDS) {
	case MESSAGES_FD_GUEST:
		return fcntl(m->guest_fd, F_DUPFD_CLOEXEC, 0);
	case MESSAGES_FD_MEMFD:
		return messages_memfd((off_t)4096 << (kind >> 4));
	case MESSAGES_FD_EVENT:
		return messages_event(m, kind & 0x80 ? 0 : EFD_NONBLOCK);
	case MESSAGES_FD_PIPE_READ:
		return messages_pipe(m, false);
	case MESSAGES_FD_PIPE_WRITE:
		return messages_pipe(m, true);
	case MESSAGES_FD_SOCKET:
		return messages_socket(m);
	case MESSAGES_FD_SHORT:
		return messages_memfd(4096);
	case MESSAGES_FD_INFLIGHT:
		return m->inflight_fd < 0 ? messages_memfd(4096) :
					    fcntl(m->inflight_fd, F_DUPFD_CLOEXEC, 0);
	case MESSAGES_FD_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	default:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
}

/*
 * Messages
 */

static void messages_send(struct messages *m, const struct vu_header *hdr, const uint8_t *payload,
			  size_t len, unsigned int nfds)
{
	uint8_t bytes[sizeof(*hdr) + VU_PAYLOAD_MAX];
	size_t total = sizeof(*hdr) + len, first = MIN(m->cut, total);
	int fds[MESSAGES_FDS_MAX];
	unsigned int i;

	memcpy(bytes, hdr, sizeof(*hdr));
	memcpy(bytes + sizeof(*hdr), payload, len);
	for (i = 0; i < nfds; i++)
		fds[i] = messages_fd(m, input_u8(&m->d.in));
	if (first) {
		fe_send_bytes(&m->d.s.fe, bytes, first, fds, nfds);
		stepped_run(&m->d.s);
		fe_send_bytes(&m->d.s.fe, bytes + first, total - first, NULL, 0);
	} else {
		fe_send_bytes(&m->d.s.fe, bytes, total, fds, nfds);
	}
	m->cut = 0;
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

/* A message as the input has it. */
static void messages_raw(struct messages *m)
{
	struct input *in = &m->d.in;
	struct vu_header hdr;
	uint8_t payload[VU_PAYLOAD_MAX];
	unsigned int nfds;
	size_t len;

	hdr.request = input_u8(in);
	hdr.flags = input_u8(in);
	hdr.size = input_u16(in);
	nfds = input_u8(in) % (MESSAGES_FDS_MAX + 1);
	len = MIN(hdr.size, sizeof(payload));
	input_bytes(in, payload, len);
	messages_send(m, &hdr, payload, len, nfds);
}

/* Ring i as a front-end would lay it out, unless the input wants something else. */
static void messages_make_addr(struct input *in, struct vu_vring_addr *addr)
{
	uint64_t at = MESSAGES_UVA + addr->index % FUZZ_QUEUES * 3 * 4096;

	addr->flags = input_u8(in) & 1;
	addr->desc = at + (input_u8(in) & 0xf0);
	addr->avail = at + 4096 + (input_u8(in) & 0xfe);
	addr->used = at + 2 * 4096 + (input_u8(in) & 0xfc);
	addr->log = MESSAGES_GPA + addr->used - MESSAGES_UVA;
}

/* A piece of the guest's file, in pages. */
static void messages_make_region(struct input *in, struct vu_region *r)
{
	uint8_t where = input_u8(in);
	uint64_t first = where & 15, pages = 1 + (where >> 4);

	if (where == 0xff) {
		input_bytes(in, r, sizeof(*r));
		return;
	}
	*r = (struct vu_region){
		.guest_addr = MESSAGES_GPA + first * 4096,
		.size = MIN(pages, 16 - first) * 4096,
		.user_addr = MESSAGES_UVA + first * 4096,
		.mmap_offset = first * 4096,
	};
}

static void messages_make_memory(struct input *in, struct vu_memory *memory, uint32_t *size,
				 unsigned int *nfds)
{
	unsigned int i;

	memory->num_regions = 1 + input_u8(in) % VU_FDS_MAX;
	for (i = 0; i < memory->num_regions; i++)
		messages_make_region(in, &memory->regions[i]);
	*nfds = memory->num_regions;
	*size = (uint32_t)(offsetof(struct vu_memory, regions) +
			   *nfds * sizeof(memory->regions[0]));
}

/* A page's translation; guest addresses and those of rings mean themselves. */
static void messages_make_iotlb(struct input *in, uint8_t index, struct vu_iotlb *m)
{
	uint64_t page = (input_u8(in) & 15) * 4096u;

	*m = (struct vu_iotlb){
		.iova = (index & 1 ? MESSAGES_UVA : MESSAGES_GPA) + page,
		.size = (1 + (index >> 1 & 7u)) * 4096,
		.user_addr = MESSAGES_UVA + (index & 0x10 ? 0 : page),
		.perm = index & 0x20 ? index >> 6 : VU_IOTLB_RW,
		.type = index & 0x40 ? VU_IOTLB_INVALIDATE : VU_IOTLB_UPDATE,
	};
}

static uint64_t messages_offered(const struct vhost_dev *dev, uint32_t request)
{
	return request == VU_SET_FEATURES ? dev_features_offered(dev) :
					    proto_features_offered(dev);
}

/* A payload which is likely to pass the first checks. */
static void messages_make_payload(struct messages *m, struct msg *msg,
				  const struct proto_row *row)
{
	const struct vhost_dev *dev = m->d.s.dev;
	struct input *in = &m->d.in;
	uint8_t index = input_u8(in);

	input_bytes(in, msg->payload.bytes, MIN(msg->header.size, 8u));
	if (row->flags & F_INDEX)
		msg->payload.state = (struct vu_vring_state){ index & 3, 1u << (index >> 4) };
	if (row->flags & F_FD_INDEX) {
		msg->payload.u64 = (index & 3) | (index & 4 ? VU_VRING_NOFD : 0);
		msg->nfds = !(index & 4);
	}
	switch (msg->header.request) {
	case VU_SET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
	case VU_VRING_KICK:
		msg->payload.state.num = index >> 7;
		break;
	case VU_SET_VRING_ADDR:
		messages_make_addr(in, &msg->payload.addr);
		break;
	case VU_SET_MEM_TABLE:
		messages_make_memory(in, &msg->payload.memory, &msg->header.size, &msg->nfds);
		break;
	case VU_ADD_MEM_REG:
	case VU_REM_MEM_REG:
		messages_make_region(in, &msg->payload.mem_reg.region);
		break;
	case VU_SET_FEATURES:
	case VU_SET_PROTOCOL_FEATURES:
		/* Most of it, or few; what is not offered is refused. */
		if (index & 1)
			msg->payload.u64 = ~msg->payload.u64;
		if (!(index & 2))
			msg->payload.u64 &= messages_offered(dev, msg->header.request);
		break;
	case VU_GET_CONFIG:
	case VU_SET_CONFIG:
		msg->payload.config = (struct vu_config){ index & 31, index >> 5, index & 1 };
		msg->header.size = VU_CONFIG_HEADER + msg->payload.config.size;
		break;
	case VU_IOTLB_MSG:
		messages_make_iotlb(in, index, &msg->payload.iotlb);
		break;
	case VU_SET_LOG_BASE:
		msg->payload.log = (struct vu_log){ 64u << (index & 7), (index >> 3) * 8u };
		break;
	case VU_GET_INFLIGHT_FD:
	case VU_SET_INFLIGHT_FD:
		msg->payload.inflight = (struct vu_inflight){
			4096, 0, 1 + index % FUZZ_QUEUES, (uint16_t)(1u << (index >> 4 & 7)) };
		break;
	case VU_SET_DEVICE_STATE_FD:
		msg->payload.transfer = (struct vu_transfer_state){ index & 1, VU_TRANSFER_STOPPED };
		break;
	default:
		break;
	}
}

/* The kinds of fds which the message is made for. */
static const uint8_t messages_wanted_fd[VU_REQUEST_END] = {
	[VU_SET_VRING_KICK] = MESSAGES_FD_EVENT,
	[VU_SET_VRING_CALL] = MESSAGES_FD_EVENT,
	[VU_SET_VRING_ERR] = MESSAGES_FD_EVENT,
	[VU_SET_LOG_FD] = MESSAGES_FD_EVENT,
	[VU_SET_BACKEND_REQ_FD] = MESSAGES_FD_SOCKET,
	[VU_GPU_SET_SOCKET] = MESSAGES_FD_SOCKET,
	[VU_SET_LOG_BASE] = MESSAGES_FD_MEMFD,
	[VU_SET_INFLIGHT_FD] = MESSAGES_FD_INFLIGHT,
};

/* A message of the table, in the shape which the table says, with the right fds. */
static void messages_shaped(struct messages *m)
{
	struct msg msg = { .header.request = input_u8(&m->d.in) % VU_REQUEST_END };
	const struct proto_row *row = &proto_table[msg.header.request];
	uint8_t kinds[MESSAGES_FDS_MAX], how = input_u8(&m->d.in);
	struct input rest;

	msg.header.flags = VU_VERSION | (how & 1 ? VU_NEED_REPLY : 0);
	msg.header.size = how & 2 ? MAX(row->size, row->size_max) : row->size;
	msg.nfds = how & 4 ? row->fds_max : row->fds_min;
	messages_make_payload(m, &msg, row);
	/* The kinds come from the table instead of the input. */
	memset(kinds, messages_wanted_fd[msg.header.request], sizeof(kinds));
	if (msg.header.request == VU_SET_DEVICE_STATE_FD)
		kinds[0] = msg.payload.transfer.direction == VU_TRANSFER_LOAD ?
			   MESSAGES_FD_PIPE_READ : MESSAGES_FD_PIPE_WRITE;
	rest = m->d.in;
	m->d.in = (struct input){ kinds, sizeof(kinds) };
	messages_send(m, &msg.header, msg.payload.bytes, MIN(msg.header.size, VU_PAYLOAD_MAX),
		      msg.nfds);
	m->d.in = rest;
}

/* Bytes which need not be a message. */
static void messages_bytes(struct messages *m)
{
	uint8_t buf[256], n = input_u8(&m->d.in);

	input_bytes(&m->d.in, buf, n);
	fe_send_bytes(&m->d.s.fe, buf, n, NULL, 0);
}

/*
 * What else happens
 */

/* The driver writes; after a truncation there is nothing left to write to. */
static void messages_memory(struct messages *m)
{
	uint16_t at = input_u16(&m->d.in);
	uint8_t buf[256], n = input_u8(&m->d.in);

	n = (uint8_t)input_bytes(&m->d.in, buf, n);
	if (!m->truncated)
		stepped_check(pwrite(m->guest_fd, buf, MIN(n, MESSAGES_GUEST - at), at) >= 0);
}

static void messages_kick(struct messages *m)
{
	int fd = m->kick_fds[input_u8(&m->d.in) % ARRAY_SIZE(m->kick_fds)];

	if (fd >= 0)
		eventfd_write(fd, 1);
}

static void messages_receive(struct messages *m)
{
	struct fe_msg msg;

	while (!fe_recv_raw(&m->d.s.fe, &msg)) {
		if (msg.hdr.request == VU_GET_INFLIGHT_FD && msg.nfds == 1) {
			close_fd(&m->inflight_fd);
			m->inflight_fd = msg.fds[0];
			msg.nfds = 0;
		}
		fe_msg_close(&msg);
	}
}

/* Something comes back on the back-end channel. */
static void messages_back(struct messages *m)
{
	uint8_t buf[64], n = input_u8(&m->d.in) % sizeof(buf);

	input_bytes(&m->d.in, buf, n);
	if (m->back_fd < 0)
		return;
	if (!n)
		close_fd(&m->back_fd);
	else if (send(m->back_fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/* The next message of the back-end channel is answered, or something which is almost an answer. */
static void messages_answer(struct messages *m)
{
	uint8_t how = input_u8(&m->d.in);
	struct {
		struct vu_header hdr;
		uint64_t value;
	} __attribute__((packed)) answer = { .value = how & 1 };
	struct fe fe = { .fd = m->back_fd, .backend_fd = -1 }, to = { .fd = m->back_fd };
	int file = how & 2 ? messages_memfd(4096) : -1;
	struct fe_msg msg;

	if (m->back_fd >= 0 && !fe_recv_raw(&fe, &msg)) {
		answer.hdr = (struct vu_header){
			msg.hdr.request + (how >> 2 & 1), VU_VERSION | (how & 8 ? 0 : VU_REPLY) |
			(how & 16 ? VU_NEED_REPLY : 0), how & 32 ? 4 : 8 };
		fe_send_bytes(&to, &answer, sizeof(answer.hdr) + answer.hdr.size, &file, file >= 0);
		fe_msg_close(&msg);
	}
	close_fd(&file);
}

/* The other end of the pipe through which the device's state goes. */
static void messages_pipe_end(struct messages *m)
{
	uint8_t n = input_u8(&m->d.in), buf[256];

	if (m->pipe_fd < 0)
		return;
	if (!n)
		close_fd(&m->pipe_fd);
	else if (n == 0xff ? read(m->pipe_fd, buf, sizeof(buf)) < 0 :
			     pipe_write(m->pipe_fd, buf, input_bytes(&m->d.in, buf, n)) < 0)
		return;
}

static void messages_truncate(struct messages *m)
{
	uint8_t pages = input_u8(&m->d.in) % 16;

	m->truncated = true;
	stepped_check(!ftruncate(m->guest_fd, (off_t)pages * 4096));
}

static void messages_step(struct messages *m)
{
	switch (input_u8(&m->d.in) % MESSAGES_OPS) {
	case MESSAGES_RAW:
		messages_raw(m);
		break;
	case MESSAGES_SHAPED:
		messages_shaped(m);
		break;
	case MESSAGES_BYTES:
		messages_bytes(m);
		break;
	case MESSAGES_MEMORY:
		messages_memory(m);
		break;
	case MESSAGES_KICK:
		messages_kick(m);
		break;
	case MESSAGES_RUN:
		stepped_run(&m->d.s);
		break;
	case MESSAGES_TURN:
		stepped_turn(&m->d.s);
		break;
	case MESSAGES_DEVICE:
		fuzz_device_act(&m->d);
		break;
	case MESSAGES_RECEIVE:
		messages_receive(m);
		break;
	case MESSAGES_BACK:
		messages_back(m);
		break;
	case MESSAGES_CUT:
		m->cut = input_u16(&m->d.in) % 512;
		break;
	case MESSAGES_TRUNCATE:
		messages_truncate(m);
		break;
	case MESSAGES_CONNECT:
		stepped_connect(&m->d.s);
		break;
	case MESSAGES_ANSWER:
		messages_answer(m);
		break;
	case MESSAGES_PIPE:
		messages_pipe_end(m);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct messages m;
	size_t i;

	fuzz_device_start(&m.d, data, size);
	m.guest_fd = messages_memfd(MESSAGES_GUEST);
	m.truncated = false;
	m.kicks = 0;
	m.back_fd = m.pipe_fd = m.inflight_fd = -1;
	m.cut = 0;
	for (i = 0; i < ARRAY_SIZE(m.kick_fds); i++)
		m.kick_fds[i] = -1;
	stepped_connect(&m.d.s);
	while (m.d.in.left)
		messages_step(&m);
	stepped_run(&m.d.s);
	for (i = 0; i < ARRAY_SIZE(m.kick_fds); i++)
		close_fd(&m.kick_fds[i]);
	close_fd(&m.guest_fd);
	close_fd(&m.back_fd);
	close_fd(&m.pipe_fd);
	close_fd(&m.inflight_fd);
	fuzz_device_stop(&m.d);
	return 0;
}
